"""A run in the terminal: start or join it, tell its story, and say at the end how things stand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.cli.answering import Answering
from app.cli.follow import (
    Follower,
    Teller,
    failures,
    follow_to_the_end,
    questions,
    stop_and_see_the_end,
)
from app.cli.output import console, emit_json_line, plain_line, tell, width_of
from app.cli.place import naming
from app.cli.story import how_to_answer, story_lines
from app.config import Paths, Project
from app.config.answers import PreparedAnswers
from app.control import Control, engine_info, engine_was_killed, read_board
from app.domain.errors import EngineError
from app.domain.events import Event
from app.domain.interrupt import Interrupt
from app.store.journal import JournalReader


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user wants of a run; ``scenario`` is the path of a scripted model's scenario."""

    scenario: str | None = None
    until_idle: bool = False
    answer_default: bool = False
    prepared: PreparedAnswers | None = None
    as_json: bool = False


def run_headless(project: Project, paths: Paths, wishes: Wishes) -> bool:
    """Run the team and tell its story; True when no agent failed and nobody waits for the user.

    Raises SkerryError when it cannot be started or followed. Ctrl-C only ends the following.
    """
    started: list[str] = []
    try:
        return asyncio.run(_run(project, paths, wishes, started))
    except KeyboardInterrupt:
        if started:
            tell(_go_on(naming(project)))
        raise


async def _run(project: Project, paths: Paths, wishes: Wishes, started: list[str]) -> bool:
    ours = engine_info(paths) is None
    control = await Control.connect(paths, progress=tell)
    try:
        joined = await control.running_run(project.fleet_id)
        run = await control.run_fleet(project, rehearse=wishes.scenario)
        started.append(run)
        if joined:
            tell(f"{project.name} is at work already: following run {run} from its beginning.")
        tell(f"Temporal's window: {control.engine.temporal_ui}")
        follower = Follower(paths, project.fleet_id, run, _teller(project, as_json=wishes.as_json))
        try:
            control, taken_over, good = await _follow_over_crashes(follower, control, wishes, paths, naming(project))
        finally:
            follower.close()
        ours = ours or taken_over
        if ours and wishes.until_idle and follower.board.outcome and not _others_at_work(paths, project.fleet_id):
            await control.stop_engine()
        return good
    finally:
        await control.close()


async def _follow_over_crashes(
    follower: Follower, control: Control, wishes: Wishes, paths: Paths, where: str
) -> tuple[Control, bool, bool]:
    """Follow to the end; when the engine is killed another one is started, and the agents go on where they were.

    Returns the connection to the last engine, whether that one is ours, and whether all went well.
    """
    taken_over = False
    while True:
        try:
            return control, taken_over, await _follow(follower, control, wishes, where)
        except EngineError:
            if not engine_was_killed(paths):
                raise
        tell("The engine was killed: another one takes over, and the agents go on.", "yellow")
        await control.close()
        control, taken_over = await Control.connect(paths, progress=tell), True
        follower.engine_is_back()


async def _follow(follower: Follower, control: Control, wishes: Wishes, where: str) -> bool:
    answering = Answering(control, wishes.prepared, default=wishes.answer_default)
    await follow_to_the_end(follower, answering, until_idle=wishes.until_idle)
    board = follower.board
    waits, failed = questions(board), failures(board)
    if wishes.until_idle and not waits and not board.outcome:
        await stop_and_see_the_end(follower, control)
    if not board.outcome:
        _say_who_waits(waits, where)
    for agent, reason in failed:
        tell(f"{agent} failed: {plain_line(reason, 400)}", "red")
        tell(f"  see what it did: skerry console {agent}{where}")
    return not failed and not waits


def _others_at_work(paths: Paths, fleet: str) -> list[str]:
    """Other teams of this user that were started on the same engine and have not ended."""
    reader = JournalReader(paths.journal_db)
    try:
        others = [other for other in reader.fleets() if other != fleet]
    finally:
        reader.close()
    return [other for other in others if not read_board(paths, other).outcome]


def _say_who_waits(waits: list[Interrupt], where: str) -> None:
    for item in waits:
        title = plain_line(item.title, 400).removeprefix(f"{item.agent} ")
        tell(f"{item.agent} waits for you: {title}", "bold yellow")
        tell(f"  {how_to_answer(item, where)}")
    if waits:
        tell(_go_on(where))


def _go_on(where: str) -> str:
    follow, end = f"skerry run --headless{where.removeprefix(' -p')}", f"skerry stop --team{where}"
    return f"The team stays at work. To follow it: {follow}; to end it: {end}"


def _teller(project: Project, *, as_json: bool) -> Teller:
    if as_json:
        return lambda event: emit_json_line(event.model_dump(mode="json"))
    who, out = max(len(agent.id) for agent in project.fleet.agents), console()

    def tell_story(event: Event) -> None:
        for line in story_lines(event, who=who, width=width_of(out)):
            out.print(line)

    return tell_story
