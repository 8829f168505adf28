"""Commands that change something through the engine: ``answer``, ``stop``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from app.cli.look import find_id, open_board
from app.cli.output import clock, emit_json, plain_line, say
from app.cli.place import ProjectOption
from app.cli.story import answer_words
from app.config import Paths
from app.control import Control, engine_info, read_board, stop_engine_process
from app.domain.board import Board
from app.domain.errors import ActionRefused, AlreadyAnswered, ConfigError, NotFound
from app.domain.events import ENDED
from app.domain.interrupt import Answer, Interrupt, InterruptState, default_answer, settle
from app.store.journal import JournalReader

T = TypeVar("T")
JsonOption = Annotated[bool, typer.Option("--json", help="The result for programs.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(answer)
    app.command()(stop)


def answer(
    interrupt: Annotated[str, typer.Argument(metavar="ID", help="The interrupt; its first letters are enough.")],
    text: Annotated[
        str, typer.Argument(metavar="ANSWER", help="An option, its number, or text; - reads standard input.")
    ] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, beside an option.")] = "",
    default: Annotated[bool, typer.Option("--default", help="Take the asker's default.")] = False,
    modify: Annotated[bool, typer.Option("--modify", help="ANSWER is new instructions for the agent.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="With --modify: instead of those it has.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the agent instead of answering.")] = False,
    task: Annotated[bool, typer.Option("--task", help="With --cancel: it only drops its task, and waits.")] = False,
    together: Annotated[bool, typer.Option("--alike", help="All open ones of its group, in the same way.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer what an agent asked. An answer is given once."""
    loaded, board, _ = open_board(project)
    asked = board.interrupts[find_id(interrupt, board.interrupts, "interrupt")]
    words = given_text(text)
    _check_open(asked)
    if sum((bool(words) and not modify, default, modify, cancel)) != 1:
        raise ConfigError("what is your answer?", operation="answer", hint=_choices(asked))
    if (replace and not modify) or (task and not cancel):
        raise ConfigError("--replace goes with --modify, --task with --cancel", operation="answer", hint="add that")
    given = _with_reason(asked, _answer(asked, words, default, modify, cancel), reason)
    given = given.model_copy(update={"mode": "replace" if replace else "amend", "scope": "task" if task else "agent"})
    settle(asked, given)  # refuses what does not fit, before the engine is asked
    if together:
        found = with_control(lambda control: control.answer_alike(loaded.fleet_id, asked.id, given))
    else:
        found = [with_control(lambda control: control.answer(loaded.fleet_id, asked.id, given))]
    if as_json:
        shown = [item.model_dump(mode="json") for item in found]
        emit_json({"answered": shown} if together else shown[0])
        return
    for settled in found:
        say(_done(settled, given))


def stop(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Only this agent.")] = "",
    team: Annotated[bool, typer.Option("--team", help="All agents of the project; the engine goes on.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the engine, in order. With AGENT or --team, end only those agents: machine off, disk kept.

    When the engine ends, agents at work keep their machines and go on at its next start.
    """
    if agent and team:
        raise ConfigError("AGENT and --team exclude each other", operation="stop", hint="say one of the two")
    if agent or team:
        _stop_agents(agent, project, as_json)
    else:
        _stop_engine(as_json)


def _done(settled: Interrupt, given: Answer) -> str:
    if given.action == "cancel":
        return f"{settled.agent} is told to {'drop its task' if given.scope == 'task' else 'stop'}"
    return f"{settled.agent} has your answer: {plain_line(given.option or given.text)}"


def _stop_agents(agent: str, project: ProjectOption, as_json: bool) -> None:
    loaded, board, _ = open_board(project)
    if agent:
        loaded.fleet.agent(agent)
    elif not board.run or board.outcome:
        raise NotFound(f"the team of {loaded.name} is not at work", operation="stop", hint="see 'skerry status'")
    if agent:
        check_at_work(board, agent)
        with_control(lambda control: control.stop_agent(loaded.fleet_id, agent))
    else:
        with_control(lambda control: control.stop_fleet(loaded.fleet_id))
    if as_json:
        emit_json({"stopping": [agent] if agent else [view.id for view in board.agents.values()]})
    else:
        say(f"{agent or 'the team'} is told to stop")


def _stop_engine(as_json: bool) -> None:
    paths = Paths.from_environment()
    at_work = _agents_at_work(paths) if engine_info(paths) else []
    ended = asyncio.run(stop_engine_process(paths))
    if as_json:
        emit_json({"engine": "ended" if ended else "not running", "machines_go_on": at_work})
    elif not ended:
        say("no engine was running")
    elif at_work:
        say(f"the engine has ended; their machines go on: {', '.join(at_work)}; 'skerry run' goes on with them")
    else:
        say("the engine has ended")


def _agents_at_work(paths: Paths) -> list[str]:
    reader = JournalReader(paths.journal_db)
    try:
        boards = [read_board(paths, fleet) for fleet in reader.fleets()]
    finally:
        reader.close()
    return [
        view.id for board in boards if not board.outcome for view in board.agents.values() if view.state not in ENDED
    ]


def with_control(do: Callable[[Control], Awaitable[T]]) -> T:
    """What ``do`` gives for a connection to the running engine. Raises EngineError when there is none."""

    async def work() -> T:
        control = await Control.connect(Paths.from_environment(), start_engine=False)
        try:
            return await do(control)
        finally:
            await control.close()

    return asyncio.run(work())


def check_at_work(board: Board, agent: str) -> None:
    """Raises NotFound when the agent is in no run, or has ended."""
    view = board.agents.get(agent)
    if view is None:
        raise NotFound(f"{agent} is not at work", operation="find agent", hint="start the team with 'skerry run'")
    if view.state in ENDED:
        reason = f": {plain_line(view.reason)}" if view.reason else ""
        raise NotFound(
            f"{agent} has ended ({view.state.value}{reason})",
            operation="find agent",
            hint=f"start it with 'skerry start {agent}'" + (", or the team with 'skerry run'" if board.outcome else ""),
        )


def given_text(text: str) -> str:
    """The argument, or with - what standard input holds."""
    return sys.stdin.read().rstrip("\n") if text == "-" else text


def _check_open(asked: Interrupt) -> None:
    if asked.state is InterruptState.OPEN:
        return
    words = f"is {asked.state.value}: nobody needs an answer any more"
    if asked.state is InterruptState.ANSWERED and asked.answer is not None:
        words = f"has its answer already: {answer_words(asked.answer)}"
    elif asked.answer is not None:
        words = f"is {asked.state.value}; its default applied: {answer_words(asked.answer)}"
    when = f", at {clock(asked.settled_at)}" if asked.settled_at is not None else ""
    raise AlreadyAnswered(
        f"{asked.id} {words}{when}",
        operation="answer",
        hint=f"to tell {asked.agent} something: skerry send {asked.agent} …",
    )


def _choices(asked: Interrupt) -> str:
    numbered = ", ".join(f"{number} ({plain_line(option)})" for number, option in enumerate(asked.options, start=1))
    first = f"say one of {numbered}" if numbered else "say it after the id"
    return f"{first}; or one of --default, --modify with a text, --cancel"


def _with_reason(asked: Interrupt, answer: Answer, reason: str) -> Answer:
    if not reason:
        return answer
    if not answer.option:
        raise ConfigError("--reason goes with an option", operation="answer", hint=_choices(asked))
    return answer.model_copy(update={"text": reason})


def _answer(asked: Interrupt, text: str, default: bool, modify: bool, cancel: bool) -> Answer:
    if default:
        return default_answer(asked).model_copy(update={"by": "user"})
    if cancel:
        return Answer(action="cancel")
    if modify:
        return Answer(action="modify", text=text)
    if text.isdigit() and asked.options:
        if not 1 <= int(text) <= len(asked.options):
            raise ActionRefused(f"{asked.id} has no option {text}", operation="answer", hint=_choices(asked))
        return Answer(option=asked.options[int(text) - 1])
    option = next((option for option in asked.options if option.casefold() == text.strip().casefold()), "")
    return Answer(option=option) if option else Answer(text=text)
