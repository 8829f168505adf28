"""Chaos: scripted agents talk while engine and Temporal server are killed; a ledger accounts for every message."""
