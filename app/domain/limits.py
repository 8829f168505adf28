"""What the host asks the user when an agent is at a limit, does not get on, or has lost what it needs; in words."""

from __future__ import annotations

import hashlib
from datetime import datetime

from app.domain.budget import LIMITS, Budget, LimitKind, Used, parse_amount, show
from app.domain.interrupt import Interrupt, InterruptKind
from app.domain.text import printable
from app.domain.watch import Suspicion

STOP_AGENT = "Stop the agent"
CONTINUE_ONCE = "Continue once"
RAISE = "Raise by "
WAIT_ON = "Wait on"
TRY_NOW = "Try now"
CANCEL_TURN = "Cancel the turn"
RESTART_CLEAN = "Restart on a clean machine"
RESTART = "Start again on its own disk"
LET_GO_ON = "Let them go on"
_MAX_EVIDENCE = 8000


def interrupt_id(*what: object) -> str:
    """A name made from what is asked: the same question has the same name, however often it is asked."""
    return "i-" + hashlib.sha256("\n".join(map(str, what)).encode()).hexdigest()[:12]


def raise_option(used: Used, budget: Budget) -> str:
    """The option that raises a limit, so far that the agent can go on."""
    return RAISE + show(used.kind, raise_amount(used, budget))


def raise_amount(used: Used, budget: Budget) -> int:
    """By how much: by as many steps as it takes to get beyond what is used."""
    step = budget.step(used.kind)
    return step * (1 + max(0, used.used - used.allowed) // step)


def raised_by(asked: Interrupt) -> int:
    """By how much the user's answer raises a limit, in its unit: what was said with the option, else the option's."""
    kind, answer = asked.about.partition(":")[2], asked.answer
    if kind not in LIMITS or answer is None:
        return 0
    limit: LimitKind = kind
    offered = answer.option.removeprefix(RAISE).removesuffix(" of work").removesuffix(f" {kind}").removesuffix(" turn")
    return parse_amount(limit, answer.text) or parse_amount(limit, offered) or 0


def over_budget(run: str, agent: str, used: Used, budget: Budget, now: datetime, *, number: object) -> Interrupt:
    """The approval at 100 %; another ``number`` is another question."""
    spent = f"{agent} has used up its budget: {used.words}."
    once = "the turn in hand" if used.kind != "turns" else "one turn"
    more = show(used.kind, used.allowed + raise_amount(used, budget))
    help_text = (
        f"{spent}\n\n{RAISE.strip()} …: it goes on at once, up to {more} (or as much more as you say with it).\n"
        f"{CONTINUE_ONCE}: {once} may go beyond it, then you are asked again.\n"
        f"For good: limits.{used.kind} in agents.yaml, then 'skerry reload'."
    )
    return Interrupt(
        id=interrupt_id(run, agent, "budget", used.kind, used.allowed, number),
        agent=agent,
        kind=InterruptKind.APPROVAL,
        title=f"{agent} is at its limit: {used.words}",
        body=help_text,
        options=(raise_option(used, budget), CONTINUE_ONCE, STOP_AGENT),
        default=STOP_AGENT,
        about=f"budget:{used.kind}",
        raised_at=now,
    )


def nearly_over(run: str, agent: str, used: Used, now: datetime) -> Interrupt:
    """The report at 80 %, once for each limit and each amount it is raised to."""
    return Interrupt(
        id=interrupt_id(run, agent, "budget80", used.kind, used.allowed),
        agent=agent,
        kind=InterruptKind.PROGRESS_REPORT,
        title=f"{agent} is near its limit: {used.words}",
        body=f"At 100 % it waits, and you are asked. The limit is limits.{used.kind} in agents.yaml.",
        blocking=False,
        about=f"budget80:{used.kind}",
        raised_at=now,
    )


def usage_limited(run: str, agent: str, number: object, detail: str, resumes: int, now: datetime) -> Interrupt:
    """The provider's limit of use came back too often, or nobody knows when it ends."""
    why = f"It went on by itself {resumes} times, and the limit was reached again each time." if resumes else ""
    return _debug(
        interrupt_id(run, agent, "usage_limit", number),
        agent,
        f"The model provider of {agent} serves no more: its usage limit is reached",
        "\n\n".join(part for part in (detail, why) if part),
        (TRY_NOW, STOP_AGENT),
        "usage_limit",
        now,
    )


def provider_down(run: str, agent: str, number: object, detail: str, now: datetime) -> Interrupt:
    """The provider has not answered for a long time."""
    body = f"{detail}\n\nSkerry goes on looking for it, and the agent goes on by itself once it answers."
    return _debug(
        interrupt_id(run, agent, "provider_down", number),
        agent,
        f"The model provider of {agent} does not answer",
        body.strip(),
        (WAIT_ON, TRY_NOW, STOP_AGENT),
        "provider_down",
        now,
    )


def sandbox_lost(run: str, agent: str, number: object, detail: str, now: datetime) -> Interrupt:
    """The machine went, and could not be brought back."""
    body = f"{detail}\n\nIt was started again several times. Its files are mirrored as they were after its last turn."
    return _debug(
        interrupt_id(run, agent, "sandbox_lost", number),
        agent,
        f"The machine of {agent} is lost",
        body,
        (RESTART, RESTART_CLEAN, STOP_AGENT),
        "sandbox_lost",
        now,
        default=STOP_AGENT,
    )


def suspicious(run: str, agent: str, found: Suspicion, number: int, now: datetime) -> Interrupt:
    """An agent does not get on. The answer may be words: they are its next prompt."""
    pair = found.cause == "ping_pong"
    item = _debug(
        interrupt_id(run, agent, found.key, number),
        agent,
        found.title,
        f"{found.evidence}\n\nText as your answer is given to the agent as instructions.",
        (LET_GO_ON if pair else WAIT_ON, CANCEL_TURN, RESTART_CLEAN, STOP_AGENT),
        found.key,
        now,
    )
    return item if pair else item.model_copy(update={"blocking": False})


def _debug(
    name: str, agent: str, title: str, body: str, options: tuple[str, ...], about: str, now: datetime, default: str = ""
) -> Interrupt:
    return Interrupt(
        id=name,
        agent=agent,
        kind=InterruptKind.DEBUG_REQUEST,
        title=printable(title),
        body=printable(body)[:_MAX_EVIDENCE],
        options=options,
        default=default or options[0],
        about=about,
        raised_at=now,
    )
