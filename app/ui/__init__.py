"""Knows Qt: the native window. It shows what the journal's facts say and acts through ``Commands`` only."""
