"""``skerry chaos``: whether every message keeps its fate while engine and Temporal server are killed."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.output import FAILED, emit_json, say, tell
from app.config import Paths, Project

if TYPE_CHECKING:
    from app.chaos.ledger import Ledger
    from app.chaos.plan import Plan


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
            return await Chaos(plan, home, _run_fleet, tell).run()

        try:
            return asyncio.run(whole())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def _run_fleet(paths: Paths, project: Project) -> str:
    from app.control import Control

    control = await Control.connect(paths, start_engine=False)
    try:
        return await control.run_fleet(project)
    finally:
        await control.close()


def _print(ledger: Ledger) -> None:
    figures = ledger.as_json()
    for name in ("planned", "sent", "replies", "read", "answered", "expired", "unread", "held", "refused", "kills"):
        say(f"{name:9} {figures[name]}")
    for name in ("lost", "doubled", "stuck"):
        say(f"{name:9} {figures[name]}", style="red" if figures[name] else "green")
    for trouble in ledger.troubles:
        tell(trouble)
