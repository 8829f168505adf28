"""Keeps agents within their limits: meters what they use, closes their way to the model, says what holds them back."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from app.activities.ledger import Ledgers, RunLedger
from app.activities.member import Member, Roster
from app.domain import events as ev
from app.domain import limits
from app.domain.account import Account
from app.domain.fleet import Limits
from app.domain.interrupt import Interrupt
from app.domain.prices import PriceTable
from app.gateway.door import ModelUsage
from app.store.journal import Journal
from app.workflows import steps
from app.workflows.holds import BeginOrder, DecisionOrder, Hold
from app.workflows.references import AgentOrder, InterruptRef

DOWN_AFTER = 3
"""Requests in a row that a provider does not serve; then it is taken for down, and asked less and less often."""
REFUSED_GRACE = 20.0
"""Seconds a program has to end its turn once a request of its was not let through."""

TroubleCause = Literal["usage_limit", "provider_down", ""]


class Warden:
    """The gateway's meter and gate, and what the steps of an agent ask about its limits."""

    def __init__(
        self,
        roster: Roster,
        journal: Journal,
        prices: PriceTable,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._roster = roster
        self._journal = journal
        self._prices = prices
        self._ledgers = Ledgers(journal)
        self._clock = clock
        self._kept: set[str] = set()

    # -- at the gateway ----------------------------------------------------------------------------------------
    def metered(self, usage: ModelUsage) -> None:
        """Put one request on record, and what it told of the provider. Raises JournalError."""
        self._journal.append(self._called(usage, self._clock()))
        member = self._roster.get(usage.key)
        if member is None:
            return
        if usage.limit is not None:
            self._trouble(member.order, usage.id, "usage_limit", usage.limit.detail, usage.limit.seconds)
            return
        account = self._account(member.order)
        if account.trouble is None and account.refusals >= DOWN_AFTER:
            detail = f"{usage.provider} answered {account.refusals} requests in a row with HTTP status {usage.status}"
            self._trouble(member.order, usage.id, "provider_down", detail)

    def gate(self, key: str) -> str:
        """Why the agent behind the door ``key`` may not ask its model now; empty when it may."""
        member = self._roster.get(key)
        if member is None:
            return ""
        hold = self._in_the_way(member.order, member.spec.limits, member.turn)
        if hold is None:
            return ""
        member.refused_at = member.refused_at or time.monotonic()
        return hold.words

    # -- around a turn -----------------------------------------------------------------------------------------
    def may_begin(self, order: BeginOrder, spec: Limits) -> Hold | None:
        """What keeps the agent from a turn that is about to begin, or to go on."""
        return self._in_the_way(order.order, spec, order.turn)

    def held(self, member: Member, turn: steps.TurnOrder) -> Hold | None:
        """What cut the turn that has just ended; None when its end is the agent's own."""
        if member.refused_at is None and not member.cut.is_set():
            return None
        return self._in_the_way(member.order, member.spec.limits, turn.turn)

    def machine_lost(self, turn: steps.TurnOrder, reason: str) -> Hold:
        """A machine that could not be brought back."""
        order = turn.order
        asked = limits.sandbox_lost(order.run, order.agent, (turn.turn, turn.again), reason, self._clock())
        return Hold(cause="sandbox_lost", words=f"its machine is lost: {reason}"[:300], interrupt=self.keep(asked))

    def look_at_turn(self, member: Member) -> None:
        """Have a running turn ended that goes on though its agent may not: between two commands, if it can be."""
        spec, now = member.spec.limits, time.monotonic()
        closed = self._in_the_way(member.order, spec, member.turn) is not None
        member.closed_at = (member.closed_at or now) if closed else None
        late = member.closed_at is not None and now - member.closed_at > spec.command
        refused = closed and member.refused_at is not None and now - member.refused_at > REFUSED_GRACE
        if late or refused:
            member.cut.set()

    def answers_again(self, order: AgentOrder) -> None:
        """The provider is there, or the user wants it to be asked."""
        if self._account(order).trouble is not None:
            self._trouble(order, f"over/{self._clock().timestamp():.6f}", "")

    def ledger(self, order: AgentOrder) -> RunLedger:
        """What is on record of the run."""
        return self._ledgers.of(order.fleet, order.run)

    def _in_the_way(self, order: AgentOrder, spec: Limits, turn: int) -> Hold | None:
        now, account = self._clock(), self._account(order)
        used = account.exhausted(spec.budget, now, turn)
        if used is not None:
            number = self.ledger(order).number(order.agent, f"budget:{used.kind}")
            asked = limits.over_budget(order.run, order.agent, used, spec.budget, now, number=(turn, number))
            return Hold(cause="budget", words=f"limit: {used.words}", interrupt=self.keep(asked))
        trouble = account.trouble
        if trouble is None or (trouble.until is not None and trouble.until <= now):
            return None
        return self._without_model(order, spec, trouble)

    def _without_model(self, order: AgentOrder, spec: Limits, trouble: ev.ModelTrouble) -> Hold:
        run, agent, resumes = order.run, order.agent, spec.usage_limit_resumes
        if trouble.cause == "provider_down":
            asked = limits.provider_down(run, agent, trouble.id, trouble.detail, trouble.at)
            seconds = spec.provider_down
            ref = self.keep(asked)
            return Hold(cause="provider_down", words="model provider down", interrupt=ref, ask_seconds=seconds)
        known = trouble.until is not None
        number = trouble.id, self.ledger(order).number(agent, "usage_limit")
        asked = limits.usage_limited(run, agent, number, trouble.detail, resumes if known else 0, trouble.at)
        return Hold(
            cause="usage_limit",
            words=f"usage limit until {_clock_time(trouble.until)}" if trouble.until else "usage limit of the provider",
            interrupt=self.keep(asked),
            until=trouble.until,
            max_resumes=resumes,
        )

    def decided(self, decision: DecisionOrder) -> None:
        """Put on record what the user's answer allows."""
        asked = self._journal.body(decision.body, Interrupt)
        about, _, kind = asked.about.partition(":")
        option = asked.answer.option if asked.answer is not None else ""
        if about in ("usage_limit", "provider_down") and option == limits.TRY_NOW:
            self.answers_again(decision.order)
        if about != "budget" or asked.answer is None:
            return
        fields = {**_named(decision.order, f"{asked.id}/allowed"), "at": decision.at, "limit": kind}
        if option == limits.CONTINUE_ONCE:
            self._journal.append(ev.BudgetRaised.model_validate({**fields, "turn": decision.turn}))
        elif option.startswith(limits.RAISE):
            amount = limits.raised_by(asked)
            self._journal.append(ev.BudgetRaised.model_validate({**fields, "amount": amount}))

    def _trouble(
        self, order: AgentOrder, name: str, cause: TroubleCause, detail: str = "", seconds: float | None = None
    ) -> None:
        now = self._clock()
        fields = {**_named(order, f"trouble/{name}"), "at": now}
        until = None if seconds is None else now + timedelta(seconds=seconds)
        told = {"cause": cause, "detail": detail, "until": until}
        self._journal.append(ev.ModelTrouble.model_validate(fields | told))

    def _called(self, usage: ModelUsage, now: datetime) -> ev.ModelCalled:
        tokens = {"given": usage.input_tokens, "made": usage.output_tokens}
        cache = {"cached": usage.cached_tokens, "written": usage.written_tokens}
        return ev.ModelCalled(
            id=f"{usage.run}/{usage.agent}/model/{usage.id}",
            at=now,
            fleet=usage.fleet,
            run=usage.run,
            agent=usage.agent,
            provider=usage.provider,
            model=usage.model,
            status=usage.status,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            seconds=round(usage.seconds, 4),
            cached_tokens=usage.cached_tokens,
            written_tokens=usage.written_tokens,
            nanodollars=self._prices.cost(usage.model, **tokens, **cache),
        )

    def _account(self, order: AgentOrder) -> Account:
        return self.ledger(order).account(order.agent)

    def keep(self, interrupt: Interrupt) -> InterruptRef:
        """Keep the text of what is asked, for the workflow to put on record."""
        if interrupt.id not in self._kept:
            self._journal.put_body(steps.interrupt_body_id(interrupt.id), interrupt)
            self._kept.add(interrupt.id)
        return InterruptRef(
            id=interrupt.id,
            kind=interrupt.kind,
            title=interrupt.title,
            blocking=interrupt.blocking,
            about=interrupt.about,
        )


def _named(order: AgentOrder, what: str) -> dict[str, Any]:
    name = f"{order.run}/{order.agent}/{what}"
    return {"id": name, "fleet": order.fleet, "run": order.run, "agent": order.agent}


def _clock_time(moment: datetime) -> str:
    """As the user's clock shows it: ``14:30``, with the day when it is another one."""
    local, now = moment.astimezone(), datetime.now().astimezone()
    return f"{local:%H:%M}" if local.date() == now.date() else f"{local:%a %d %b %H:%M}"
