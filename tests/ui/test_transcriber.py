"""Facts become the pieces of a transcript."""

from __future__ import annotations

import pytest

from app.config import Paths
from app.domain import events as ev
from app.domain.board import Board
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from app.store.journal import Journal
from app.ui.console.entries import EntryKind, Piece, Progress, Role
from app.ui.console.transcriber import Transcriber
from tests.ui.blueprint import DEV, OWNER, TEST
from tests.ui.story import Story


class Told:
    """A story, and the transcript of one agent."""

    def __init__(self, paths: Paths, agent: str = DEV) -> None:
        self.story = Story(Journal(paths.journal_db), "fleet-1")
        self.board = Board("fleet-1")
        self.transcriber = Transcriber(agent, self.board.messages)
        self.story.start()
        self._seen = 0

    def pieces(self) -> list[Piece]:
        fresh = self.story.told[self._seen :]
        self._seen = len(self.story.told)
        self.board.apply_all(fresh)
        return [piece for event in fresh for piece in self.transcriber.write(event)]

    def lines(self) -> list[str]:
        return [f"{piece.role.value}: {piece.text}" for piece in self.pieces()]


def test_a_turn(paths: Paths) -> None:
    told = Told(paths)
    told.story.turn(DEV, 1, "Do it\nwell", "start")
    told.story.say(DEV, 1, "thinking", thought=True)
    told.story.say(DEV, 1, "I do it.")
    told.story.say(DEV, 1, "Done.")
    told.story.end_turn(DEV, 1)
    pieces = told.pieces()
    assert [(piece.entry.kind, piece.role, piece.text) for piece in pieces[:5]] == [
        (EntryKind.TURN, Role.HEAD, "Turn 1"),
        (EntryKind.TURN, Role.ASIDE, "first instructions"),
        (EntryKind.PROMPT, Role.HEAD, "Prompt"),
        (EntryKind.PROMPT, Role.ASIDE, "Do it  (2 lines)"),
        (EntryKind.PROMPT, Role.BODY, "Do it\nwell"),
    ]
    assert pieces[4].entry.folded
    words = [piece for piece in pieces if piece.entry.kind is EntryKind.WORDS]
    assert [piece.text for piece in words] == ["I do it.", "Done."]
    assert words[0].entry is words[1].entry


def test_a_command_shows_its_output_once(paths: Paths) -> None:
    told = Told(paths)
    told.story.command(DEV, 1, "make test", "one\ntwo\nthree\n", pieces=3)
    pieces = told.pieces()
    assert "".join(piece.text for piece in pieces if piece.role is Role.OUTPUT) == "one\ntwo\nthree\n"
    assert pieces[0].text == "$ make test"
    assert pieces[-1].text.startswith("exit 0 · ")
    assert pieces[0].entry.progress is Progress.DONE


def test_output_that_was_never_streamed_is_in_the_end(paths: Paths) -> None:
    told = Told(paths)
    call = told.story.begin_command(DEV, 1, "ls")
    told.story.tell(
        ev.ToolEnded,
        DEV,
        turn=1,
        call_id=call,
        command="ls",
        status="failed",
        exit_status=2,
        output="a\nb\n",
        dropped=2048,
    )
    lines = told.lines()
    assert lines[1] == "output: a\nb\n"
    assert lines[2].startswith("end: exit status 2 · ") and lines[2].endswith("2.0 KiB more were not kept")


def test_two_calls_at_once_are_told_apart(paths: Paths) -> None:
    told = Told(paths)
    first = told.story.begin_command(DEV, 1, "first")
    told.story.output(DEV, 1, first, "1\n")
    second = told.story.begin_command(DEV, 1, "second")
    told.story.output(DEV, 1, first, "2\n")
    told.story.output(DEV, 1, second, "3\n")
    assert told.lines() == [
        "head: $ first",
        "output: 1\n",
        "head: $ second",
        "aside: … first",
        "output: 2\n",
        "aside: … second",
        "output: 3\n",
    ]


def test_a_call_whose_end_is_missing_runs_no_longer(paths: Paths) -> None:
    told = Told(paths)
    told.story.begin_command(DEV, 1, "sleep 100")
    entry = told.pieces()[0].entry
    states = [entry.progress]
    told.story.state(DEV, AgentStatus.STOPPED, "stopped by the user")
    told.pieces()
    assert [*states, entry.progress] == [Progress.RUNNING, Progress.NONE]


def test_messages_are_told_on_both_sides(paths: Paths) -> None:
    sender = Told(paths, TEST)
    sender.story.send(TEST, DEV, "2 of 5 fail", "…", MessageState.DELIVERED, MessageState.READ)
    assert sender.lines() == ["head: Message to dev-agent: 2 of 5 fail"]
    recipient = Transcriber(DEV, sender.board.messages)
    shown = [piece.text for event in sender.story.told for piece in recipient.write(event)]
    assert shown == ["Message from test-agent: 2 of 5 fail"]


def test_trouble_stands_out(paths: Paths) -> None:
    told = Told(paths, OWNER)
    told.story.call(OWNER, status=200)
    told.story.call(OWNER, status=503)
    told.story.tell(ev.SandboxChanged, OWNER, state="lost", note="QEMU was killed")
    told.story.tell(ev.WorkspaceMirrored, OWNER, turn=1, files=0, bytes=0, refused=(("../x", "leads out"),))
    told.story.state(OWNER, AgentStatus.FAILED, "gave up")
    pieces = told.pieces()
    assert {piece.entry.kind for piece in pieces} == {EntryKind.TROUBLE}
    assert [piece.text for piece in pieces] == [
        "The model's provider openai answered 503",
        "Virtual machine lost: QEMU was killed",
        "../x stayed inside: leads out",
        "Failed: gave up",
    ]


def test_what_an_agent_writes_cannot_steer(paths: Paths) -> None:
    told = Told(paths)
    told.story.say(DEV, 1, "all \x1b[2Jgood \u202etxt.exe")
    told.story.tell(ev.ToolStarted, DEV, turn=1, call_id="c", title="x\u202ey", command="")
    assert [piece.text for piece in told.pieces()] == ["all \ufffd[2Jgood \ufffdtxt.exe", "x\ufffdy"]


def test_arguments_of_a_tool_are_folded(paths: Paths) -> None:
    told = Told(paths)
    title = 'tracker: create_ticket {"recipient": "dev-agent", "body": "one\\ntwo"}'
    told.story.tell(ev.ToolStarted, DEV, turn=1, call_id="c", title=title, tool_kind="execute")
    pieces = told.pieces()
    assert [(piece.role, piece.text) for piece in pieces] == [
        (Role.HEAD, "tracker: create_ticket"),
        (Role.ASIDE, '{"recipient": "dev-agent", "body": "one\\ntwo"}'),
        (Role.BODY, '{"recipient": "dev-agent", "body": "one\\ntwo"}'),
    ]
    assert pieces[0].entry.folded


def test_a_long_command_is_folded_a_short_one_is_not(paths: Paths) -> None:
    told = Told(paths)
    told.story.begin_command(DEV, 1, "cat <<END\na\nEND")
    assert told.lines() == ["head: $ cat <<END", "body: a\nEND"]
    told.story.begin_command(DEV, 1, "cat <<END\n" + "line\n" * 40 + "END")
    assert told.lines()[:2] == ["head: $ cat <<END", "aside: and 41 more lines"]


@pytest.mark.parametrize("title", ['skerry: send_message {"recipient": "x"}', "mcp__skerry__send_message"])
def test_own_tools_are_told_by_what_they_did(paths: Paths, title: str) -> None:
    told = Told(paths)
    told.story.tell(ev.ToolStarted, DEV, turn=1, call_id="c1", title=title, tool_kind="execute")
    told.story.send(DEV, TEST, "Hello", "…")
    told.story.tell(ev.ToolOutput, DEV, turn=1, call_id="c1", text="Accepted as m-1.")
    told.story.tell(ev.ToolEnded, DEV, turn=1, call_id="c1", status="completed", output="Accepted as m-1.")
    assert told.lines() == ["head: Message to test-agent: Hello"]
    told.story.tell(ev.ToolStarted, DEV, turn=1, call_id="c2", title=title)
    told.story.tell(ev.ToolEnded, DEV, turn=1, call_id="c2", status="failed", output="there is no agent x")
    assert told.lines() == ["head: send_message was refused: there is no agent x"]


def test_reading_tools_are_told_in_a_line(paths: Paths) -> None:
    told = Told(paths)
    told.story.tell(ev.ToolStarted, DEV, turn=1, call_id="c", title='skerry: memory_search {"query": "umlauts"}')
    told.story.tell(ev.ToolEnded, DEV, turn=1, call_id="c", status="completed", output="…")
    assert told.lines() == ['head: Searches its memory for "umlauts"']
