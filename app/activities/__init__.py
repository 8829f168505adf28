"""Told by a workflow and touching the world: machines, agent programs, the journal."""
