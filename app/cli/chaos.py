"""``skerry chaos``: whether every message keeps its fate while engine and Temporal server are killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.output import FAILED, emit_json, say, tell
from app.config import Paths, Project

if TYPE_CHECKING:
    from app.chaos.ledger import Ledger
    from app.chaos.plan import Plan
    from app.control import Control
    from app.domain.interrupt import Answer


_FIGURES = (
    *("planned", "sent", "replies", "delivered", "read", "answered", "expired", "refused_after", "unread", "held"),
    *("refused", "were_held", "kills"),
)


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("chaos")(chaos)


def chaos(
    messages: Annotated[int, typer.Option(min=1, max=100_000, help="How many messages the agents send.")] = 200,
    kills: Annotated[int, typer.Option(min=0, max=10_000, help="How often a process is killed.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed plans the same messages and kills.")] = 1,
    agents: Annotated[int, typer.Option(min=2, max=30, help="How many agents talk.")] = 5,
    keep: Annotated[bool, typer.Option("--keep", help="Keep journal, diaries and logs, and say where.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The ledger for programs.")] = False,
) -> None:
    """Let scripted agents talk while engine and Temporal server are killed, and account for every message."""
    from app.chaos.plan import Plan

    ledger = _wrought(Plan(seed, messages, kills, agents), keep=keep)
    if as_json:
        emit_json(ledger.as_json())
    else:
        _print(ledger)
    if not ledger.ok:
        raise typer.Exit(FAILED)


def _wrought(plan: Plan, *, keep: bool) -> Ledger:
    from app.chaos.driver import Chaos, chaos_home

    with chaos_home(keep=keep) as home:
        if keep:
            tell(f"everything is kept in {home}")

        async def whole() -> Ledger:
            task = asyncio.current_task()
            assert task is not None
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
            return await Chaos(plan, home, _Desk(), tell).run()

        try:
            return asyncio.run(whole())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


class _Desk:
    """Connects anew each time: between two calls the engine may be another one."""

    async def run_fleet(self, paths: Paths, project: Project) -> str:
        async with _control(paths) as control:
            return await control.run_fleet(project)

    async def answer(self, paths: Paths, fleet: str, interrupt_id: str, answer: Answer) -> None:
        async with _control(paths) as control:
            await control.answer(fleet, interrupt_id, answer)

    async def mark_read(self, paths: Paths, message_id: str) -> None:
        async with _control(paths) as control:
            await control.mark_read([message_id])


@contextlib.asynccontextmanager
async def _control(paths: Paths) -> AsyncIterator[Control]:
    from app.control import Control

    control = await Control.connect(paths, start_engine=False)
    try:
        yield control
    finally:
        await control.close()


def _print(ledger: Ledger) -> None:
    figures = ledger.as_json()
    for name in _FIGURES:
        say(f"{name:13} {figures[name]}")
    for name in ("lost", "doubled", "stuck"):
        say(f"{name:13} {figures[name]}", style="red" if figures[name] else "green")
    for trouble in ledger.troubles:
        tell(trouble)
