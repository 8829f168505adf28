"""Chaos: scripted agents talk while engine and Temporal server are killed; a ledger says what became of each message."""
