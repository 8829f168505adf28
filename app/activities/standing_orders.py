"""The prose of an agent's rules: what it was given of it, and what has changed since."""

from __future__ import annotations

import hashlib
import logging

from app.activities.member import Member
from app.config import load_rules
from app.domain import events as ev
from app.domain import prompts
from app.domain.errors import ConfigError
from app.store.journal import Journal
from app.workflows import steps

log = logging.getLogger(__name__)


def rules_news(journal: Journal, member: Member, turn: steps.TurnOrder) -> tuple[str, str]:
    """What the agent is to be told of its rules in this turn's prompt, mostly nothing; and the digest of their prose.

    Its program reads them when a conversation begins, and not again. Rules that cannot be read change nothing.
    """
    order = turn.order
    known = journal.last("turn_started", fleet=order.fleet, run=order.run, agent=order.agent)
    given = known.rules if isinstance(known, ev.TurnStarted) else ""
    try:
        _, prose = load_rules(member.project, member.spec)
    except ConfigError as error:
        log.info("%s goes on with the rules it has: %s", order.agent, error.message)
        return "", given
    digest = hashlib.sha256(prose.strip().encode()).hexdigest()[:12]
    is_news = turn.cause != "start" and given not in ("", digest)
    return prompts.rules_changed(prose) if is_news else "", digest
