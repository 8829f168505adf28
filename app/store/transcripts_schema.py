"""The table of conversations that Skerry holds with models itself. Since version 5 of the schema."""

TRANSCRIPTS_SCHEMA = """
CREATE TABLE IF NOT EXISTS transcripts (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  fleet TEXT NOT NULL,
  run TEXT NOT NULL,
  agent TEXT NOT NULL,
  session TEXT NOT NULL,
  turn INTEGER NOT NULL,
  step INTEGER NOT NULL,
  kind TEXT NOT NULL,
  call TEXT NOT NULL,
  at TEXT NOT NULL,
  json TEXT NOT NULL,
  UNIQUE (fleet, run, agent, session, turn, step, kind, call)
);
"""
