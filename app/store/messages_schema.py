"""Where every message stands: tables that SQLite itself keeps up with the facts, in the transaction that appends them.

They can be made again from the facts at any time: whoever changes them raises the schema version and has them refilled.
"""

from __future__ import annotations

from app.domain.envelope import MOVES


def _may_move() -> str:
    """SQL for ``domain.envelope.may_move``, old state in the row, new state in the fact."""
    pairs = [f"(state='{old}' AND {_STATE}='{new}')" for old, news in MOVES.items() for new in sorted(news)]
    return " OR ".join(pairs)


_STATE = "json_extract(NEW.json, '$.state')"
_COLUMNS = """
  id, fleet, run, sender, recipient, mode, kind, reply_to, correlation_id, idempotency_key, sent_at, expires_at,
  state, reason, at
"""
_FIELDS = """
  json_extract(json, '$.envelope.id'), fleet, run, json_extract(json, '$.envelope.sender'),
  json_extract(json, '$.envelope.recipient'), json_extract(json, '$.envelope.mode'),
  json_extract(json, '$.envelope.kind'), json_extract(json, '$.envelope.reply_to'),
  json_extract(json, '$.envelope.correlation_id'), json_extract(json, '$.envelope.idempotency_key'),
  json_extract(json, '$.envelope.sent_at'), json_extract(json, '$.envelope.expires_at'),
  json_extract(json, '$.state'), json_extract(json, '$.reason'), at
"""

MESSAGES_SCHEMA = f"""
DROP TRIGGER IF EXISTS message_accepted;
DROP TRIGGER IF EXISTS message_moved;
DROP TABLE IF EXISTS messages;
CREATE TABLE messages (
  id TEXT PRIMARY KEY,
  fleet TEXT NOT NULL,
  run TEXT NOT NULL,
  sender TEXT NOT NULL,
  recipient TEXT NOT NULL,
  mode TEXT NOT NULL,
  kind TEXT NOT NULL,
  reply_to TEXT,
  correlation_id TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  sent_at TEXT NOT NULL,
  expires_at TEXT,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  at TEXT NOT NULL
);
CREATE INDEX messages_to ON messages (fleet, run, recipient, state);
CREATE INDEX messages_from ON messages (fleet, run, sender, sent_at);
CREATE INDEX messages_ending ON messages (state, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX messages_answering ON messages (reply_to) WHERE reply_to IS NOT NULL;
CREATE TABLE IF NOT EXISTS waits (
  message_id TEXT PRIMARY KEY,
  fleet TEXT NOT NULL,
  run TEXT NOT NULL,
  waiter TEXT NOT NULL,
  awaited TEXT NOT NULL,
  awaits TEXT NOT NULL,
  until TEXT NOT NULL
);
INSERT OR IGNORE INTO messages ({_COLUMNS}) SELECT {_FIELDS} FROM events WHERE kind='message_accepted' ORDER BY seq;
UPDATE messages SET (state, reason, at) = (
  SELECT json_extract(json, '$.state'), json_extract(json, '$.reason'), events.at FROM events
  WHERE events.kind='message_moved' AND json_extract(json, '$.message_id')=messages.id ORDER BY seq DESC LIMIT 1
) WHERE id IN (SELECT json_extract(json, '$.message_id') FROM events WHERE kind='message_moved');
CREATE TRIGGER message_accepted AFTER INSERT ON events WHEN NEW.kind='message_accepted' BEGIN
  INSERT OR IGNORE INTO messages ({_COLUMNS}) SELECT {_FIELDS}
  FROM (SELECT NEW.json AS json, NEW.fleet AS fleet, NEW.run AS run, NEW.at AS at);
END;
CREATE TRIGGER message_moved AFTER INSERT ON events WHEN NEW.kind='message_moved' BEGIN
  UPDATE messages SET state={_STATE}, reason=json_extract(NEW.json, '$.reason'), at=NEW.at
  WHERE id=json_extract(NEW.json, '$.message_id') AND ({_may_move()});
END;
"""  # noqa: S608  # all of it is ours
