"""What an agent's program may do: answered by the rules at once, or by the user while the program waits in its turn.

A question has the same id however often it is asked again after a crash: it is made of the turn, of what is asked for,
and of how often the very same was decided in that turn.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from datetime import UTC, datetime
from typing import Any

from app.activities.member import Member
from app.activities.turn_questions import TurnQuestions
from app.config.approvals import allow_commands
from app.domain import events as ev
from app.domain.decisions import ChangeFiles, Decision, Judged, RunCommand, UseTool, Wish
from app.domain.errors import ConfigError
from app.domain.interrupt import Answer, Interrupt, InterruptKind, Risk
from app.domain.ports import PermissionAsked, PermissionGiven
from app.domain.text import first_line, printable

ALLOW_ONCE = "Allow once"
ALWAYS = "Always for this agent"
DENY = "Deny"

OWN_TOOL = "skerry_tool"
"""The kind of a call of one of Skerry's own tools; its title is ``name {arguments}``."""
TITLE_WIDTH = 120
WITHDRAWN = "the question was withdrawn: nobody waits for the answer any more"

log = logging.getLogger(__name__)


class Permissions:
    """Answers the programs of agents. The rules are those of the moment, read again when their files have changed."""

    def __init__(self, questions: TurnQuestions) -> None:
        self._questions = questions
        self._journal = questions.journal

    async def permit(self, member: Member, turn: int, asked: PermissionAsked) -> PermissionGiven:
        """The answer to ``asked``; returns when there is one. What is not allowed for sure is refused."""
        wish = wish_of(asked)
        try:
            judged = await asyncio.to_thread(member.rules.decide, wish)  # what is hostile may take a second or two
            place = member.rules.place(judged.decision)
        except ConfigError as error:
            judged, place = Judged(Decision("deny", "the rules cannot be read", error.message)), member.spec.rules_file
        await self._tell_of_mistakes(member)
        if judged.decision.verdict != "ask":
            self._note(member, turn, asked, judged.decision, place)
            return _given(asked, judged.decision, place)
        return await self._ask(member, turn, asked, judged, place)

    async def _ask(
        self, member: Member, turn: int, asked: PermissionAsked, judged: Judged, place: str
    ) -> PermissionGiven:
        interrupt = self._question(member, turn, asked, judged, place)
        answer = await self._questions.answer(member, turn, interrupt, title=_to_do(asked))
        if answer is None:
            return PermissionGiven(None)
        decision = await self._by_user(member, asked, judged, answer)
        self._note(member, turn, asked, decision, place, interrupt.id, answer.by)
        return _given(asked, decision, place)

    async def _by_user(self, member: Member, asked: PermissionAsked, judged: Judged, answer: Answer) -> Decision:
        """What the user's answer comes to, under the rules of now: they may deny by now what they asked about."""
        now = (await asyncio.to_thread(member.rules.decide, wish_of(asked))).decision
        if now.verdict == "deny":
            return now
        rule = judged.decision.rule
        if answer.action != "resume" or answer.option not in (ALLOW_ONCE, ALWAYS):
            note = f": {answer.text.strip()}" if answer.text.strip() else ""
            return Decision("deny", rule, f"{_whom(answer)} refused it{note}")
        if answer.option == ALWAYS:
            await self._remember(member, judged.always)
        return Decision("allow", rule, f"{_whom(answer)} allowed it{', always' if answer.option == ALWAYS else ''}")

    async def _remember(self, member: Member, commands: tuple[str, ...]) -> None:
        try:
            await asyncio.to_thread(allow_commands, member.project.root, member.spec.id, commands)
        except ConfigError:  # allowed now all the same; the user is asked again another time
            log.warning("%s is not kept as allowed for %s", commands, member.spec.id, exc_info=True)

    async def _tell_of_mistakes(self, member: Member) -> None:
        """Report to the user, once, that a file of rules has mistakes and does not count."""
        problem = member.rules.problem
        name = hashlib.sha256(json.dumps([member.order.run, member.order.agent, problem]).encode()).hexdigest()[:12]
        if not problem or self._journal.has(f"i-{name}/raised"):
            return
        report = Interrupt(
            id=f"i-{name}",
            agent=member.order.agent,
            kind=InterruptKind.PROGRESS_REPORT,
            title=f"the rules of {member.order.agent} have mistakes: the last good ones stay in force",
            body=printable(problem),
            blocking=False,
            raised_at=datetime.now(UTC),
        )
        await self._questions.tell(member, report)

    def _question(self, member: Member, turn: int, asked: PermissionAsked, judged: Judged, place: str) -> Interrupt:
        return Interrupt(
            id=self._question_id(member, turn, asked),
            agent=member.order.agent,
            kind=InterruptKind.APPROVAL,
            title=f"{member.order.agent} wants to {_to_do(asked)}",
            body=printable(_body(asked, judged, place)),
            options=(ALLOW_ONCE, ALWAYS, DENY) if judged.always else (ALLOW_ONCE, DENY),
            default=DENY,
            permission=True,
            risk=Risk.MEDIUM,
            group=f"rule {judged.decision.rule}",
            approve=ALLOW_ONCE,
            raised_at=datetime.now(UTC),
        )

    def _question_id(self, member: Member, turn: int, asked: PermissionAsked) -> str:
        order = member.order
        facts = self._journal.of_run(order.fleet, order.run, ("permission_decided",))
        before = sum(
            isinstance(fact, ev.PermissionDecided)
            and (fact.agent, fact.turn, fact.command) == (order.agent, turn, _what(asked))
            and bool(fact.interrupt)
            for fact in facts
        )
        text = json.dumps([order.run, order.agent, turn, _what(asked), asked.folder, before])
        return f"i-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def _note(
        self,
        member: Member,
        turn: int,
        asked: PermissionAsked,
        decision: Decision,
        place: str,
        interrupt: str = "",
        by: str = "",
    ) -> None:
        now = datetime.now(UTC)
        name = f"permission/{interrupt or f'{asked.call_id}/{now.timestamp():.6f}'}"
        fact = ev.PermissionDecided(
            **_named(member, f"t{turn}/{name}", now),
            turn=turn,
            call_id=asked.call_id,
            command=_what(asked),
            verdict="allow" if decision.verdict == "allow" else "deny",
            rule=printable(decision.rule),
            place=place,
            why=printable(decision.why),
            interrupt=interrupt,
            by=by,
        )
        self._journal.append(fact, lazily=decision.verdict == "allow" and not interrupt)


def wish_of(asked: PermissionAsked) -> Wish:
    """What a program asks for, in the words of the rules."""
    if asked.kind == OWN_TOOL:
        return UseTool(asked.title.partition(" ")[0], own=True)
    folder = {"folder": asked.folder} if asked.folder else {}
    if asked.command:
        return RunCommand(asked.command, **folder)
    if asked.kind in ("edit", "delete", "move"):
        return ChangeFiles(asked.paths, **folder)
    if asked.kind == "execute":
        return RunCommand("$COMMAND", **folder)  # a command that is not told: nothing is known of it
    return UseTool(asked.title or asked.kind or "something")


def _given(asked: PermissionAsked, decision: Decision, place: str) -> PermissionGiven:
    if decision.verdict == "allow":
        return PermissionGiven(_option(asked, "allow_once"))
    what = f"{_quoted(asked)} was not used" if isinstance(wish_of(asked), UseTool) else f"{_quoted(asked)} did not run"
    why = f"{what}: {decision.why} (rule {decision.rule!r} in {place})."
    refusal = _option(asked, "reject_once") or _option(asked, "reject_always")
    return PermissionGiven(refusal, f"{why} Do not try to get around it; go on without.")


def _option(asked: PermissionAsked, kind: str) -> str | None:
    return next((option for option, _, this in asked.options if this == kind), None)


def _what(asked: PermissionAsked) -> str:
    return printable(asked.command or ", ".join(asked.paths) or asked.title)


def _to_do(asked: PermissionAsked) -> str:
    return f"{'use' if isinstance(wish_of(asked), UseTool) else 'run'} {_quoted(asked)}"


def _quoted(asked: PermissionAsked) -> str:
    return f'"{first_line(_what(asked), TITLE_WIDTH)}"'


def _body(asked: PermissionAsked, judged: Judged, place: str) -> str:
    parts = [part for part in judged.parts if part.verdict == "ask"]
    reasons = "\n".join(f"* {part.why} (rule `{part.rule}`)" for part in dict.fromkeys(parts))
    always = "\n".join(f"    {item}" for item in judged.always)
    remembered = f"\n\n“{ALWAYS}” writes into approvals.yaml:\n\n{always}" if judged.always else ""
    where = f"\n\nFolder: {asked.folder}" if asked.folder else ""
    return f"    {_what(asked)}{where}\n\n{reasons}\n\nThe rules: {place}{remembered}".replace("\n    \n", "\n")


def _whom(answer: Answer) -> str:
    return "the user" if answer.by == "user" else answer.by


def _named(member: Member, name: str, at: datetime) -> dict[str, Any]:
    order = member.order
    named = {"id": f"{order.run}/{order.agent}/{name}", "at": at, "fleet": order.fleet, "run": order.run}
    return {**named, "agent": order.agent}
