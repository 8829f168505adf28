"""Knows SQL: the journal of facts, the bodies behind the ids that workflows carry, and the memory files' revisions."""
