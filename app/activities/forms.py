"""Forms that an agent's program wants filled in during its turn: a question to the user like any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from app.activities.member import Member
from app.activities.turn_questions import TurnQuestions
from app.domain.forms import FormAsked, Value, described, filled, options_of
from app.domain.interrupt import Interrupt, InterruptKind
from app.domain.text import first_line, printable

_TITLE = 120
_BODY = 16_384


class Forms:
    """Fills in forms. The question has the same id however often the program asks it again after a crash."""

    def __init__(self, questions: TurnQuestions) -> None:
        self._questions = questions

    async def fill(self, member: Member, turn: int, asked: FormAsked) -> Mapping[str, Value] | None:
        """The user's values, as long as that may take; None when he declines, or the turn is ending."""
        question = _question(member, turn, asked)
        title = f'the question "{first_line(question.title, _TITLE)}"'
        answer = await self._questions.answer(member, turn, question, title=title)
        return None if answer is None else filled(asked, answer)


def _question(member: Member, turn: int, asked: FormAsked) -> Interrupt:
    order = member.order
    what = [order.run, order.agent, turn, asked.call_id, asked.message, [field.name for field in asked.fields]]
    first, _, rest = printable(asked.message).strip().partition("\n")
    return Interrupt(
        id=f"i-{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]}",
        agent=order.agent,
        kind=InterruptKind.USER_INPUT,
        title=first_line(first, 300) or "The agent's program asks for something",
        body=printable("\n\n".join(part for part in (rest.strip(), described(asked)) if part))[:_BODY],
        options=tuple(dict.fromkeys(printable(option)[:300] for option in options_of(asked))),
        permission=True,
        raised_at=datetime.now(UTC),
    )
