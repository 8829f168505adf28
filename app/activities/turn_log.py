"""What is on record of an agent's turns: their prompts, their begin, that they go on after a crash, and their end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from app.activities.mail_room import MailRoom
from app.activities.member import Member
from app.activities.note_book import memory_digest
from app.activities.order_steps import instructed
from app.activities.standing_orders import rules_news
from app.activities.under_way import under_way
from app.domain import events as ev
from app.domain import prompts
from app.domain.instructions import told
from app.domain.interrupt import Interrupt
from app.domain.ports import TurnOutcome, TurnRequest
from app.workflows import steps


class TurnLog:
    """Makes prompts and puts turns on record, whoever takes them."""

    def __init__(self, mail: MailRoom, brief: Callable[[Member], Awaitable[None]]) -> None:
        """``brief`` writes down for an agent's program what its standing orders are now."""
        self._mail = mail
        self._brief = brief
        self._journal = mail.journal

    async def begin(self, member: Member, turn: steps.TurnOrder, attempt: int) -> TurnRequest:
        """What the program is asked, and whether an earlier try had begun; puts the begin on record."""
        order = turn.order
        begun = self._journal.has(f"{order.run}/{order.agent}/t{turn.turn}/started")
        prompt = await self._prompt(member, turn)
        member.look_back = begun
        if begun:
            known = self._journal.last("turn_started", fleet=order.fleet, run=order.run, agent=order.agent)
            # Word for word: the program is looked at for whether this prompt has arrived.
            prompt = known.prompt if isinstance(known, ev.TurnStarted) and known.turn == turn.turn else prompt
            self.resumed(turn, attempt)
        else:
            news, rules = rules_news(self._journal, member, turn)
            if news:
                prompt = f"{news}\n\n{prompt}"
                await self._brief(member)
            self._journal.append(
                ev.TurnStarted(
                    **named(order, f"t{turn.turn}/started"),
                    turn=turn.turn,
                    cause=turn.cause,
                    prompt=prompt,
                    messages=turn.messages,
                    answers=turn.answers,
                    instructions=turn.instructions,
                    rules=rules,
                )
            )
        return TurnRequest(
            turn=turn.turn,
            prompt=prompt,
            session=self.session(order),
            resume=begun,
            under_way=under_way(self._journal, turn) if begun else (),
        )

    def resumed(self, turn: steps.TurnOrder, attempt: int) -> None:
        """Put on record that a turn goes on that was cut; ``attempt`` is another for each time."""
        name, tried = f"t{turn.turn}/resumed/{attempt}", activity.info().attempt
        fact = ev.TurnResumed(**named(turn.order, name), turn=turn.turn, attempt=tried, again=turn.again)
        self._journal.append(fact)

    async def _prompt(self, member: Member, turn: steps.TurnOrder) -> str:
        parts: list[str] = []
        if turn.cause == "start":
            spec = instructed(self._journal, turn.order, member.spec)
            parts.append(prompts.first_prompt(spec, await memory_digest(member)))
        elif turn.cause == "instructions" and (turn.restarted or not turn.instructions):
            parts.append(prompts.STARTED_AGAIN)
        if turn.cause != "start":  # there they stand among the others
            parts += [told(self._journal.body(item, ev.InstructionsChanged)) for item in turn.instructions]
        parts += [prompts.bounced(item.message_id, item.recipient, item.reason) for item in turn.bounced]
        if turn.reminder:
            parts.append(prompts.reminder(turn.reminder))
        parts += [prompts.answer_block(self._journal.body(item, Interrupt)) for item in turn.answers]
        # A conversation that begins anew knows nothing of what was read or answered.
        found = self._mail.envelopes if turn.cause == "start" else self._mail.for_prompt
        parts += await self._mail.texts(member.sandbox, found(turn.messages))
        return "\n\n".join(parts) or prompts.ALL_READ

    def has_finished(self, turn: steps.TurnOrder) -> bool:
        """Whether the agent has said in this turn that its task is complete."""
        where = {"fleet": turn.order.fleet, "run": turn.order.run, "agent": turn.order.agent}
        finished, begun = self._journal.last("agent_finished", **where), self._journal.last("turn_started", **where)
        return finished is not None and begun is not None and finished.at >= begun.at

    def session(self, order: steps.AgentOrder) -> str | None:
        """The conversation that is on record, None when there is none."""
        fact = self._journal.last("session_opened", fleet=order.fleet, run=order.run, agent=order.agent)
        return fact.session or None if isinstance(fact, ev.SessionOpened) else None

    def end(self, turn: steps.TurnOrder, outcome: TurnOutcome, seconds: float) -> None:
        """Put the end of a turn on record, once."""
        fact = ev.TurnEnded(
            **named(turn.order, f"t{turn.turn}/ended"),
            turn=turn.turn,
            stop_reason=outcome.stop_reason,
            input_tokens=outcome.input_tokens,
            output_tokens=outcome.output_tokens,
            seconds=round(seconds, 3),
        )
        self._journal.append(fact)


def named(order: steps.AgentOrder, name: str) -> dict[str, Any]:
    """The fields that all facts about an agent share; ``name`` says which fact of the agent it is."""
    return {
        "id": f"{order.run}/{order.agent}/{name}",
        "at": datetime.now(UTC),
        "fleet": order.fleet,
        "run": order.run,
        "agent": order.agent,
    }
