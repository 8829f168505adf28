"""What a fact reads like."""

from __future__ import annotations

import pytest

from app.cli.story import BRIEF, NORMAL, WHOLE, Depth, some_lines, story_lines
from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from tests.ui.story import Story


def told(story: Story, depth: Depth = BRIEF, width: int | None = None) -> list[str]:
    """All lines of all facts, without the time."""
    found = [line.plain for event in story.told for line in story_lines(event, depth, who=9, width=width)]
    assert all(width is None or len(line) <= width for line in found)
    return [line[10:] for line in found]


def test_a_command_and_its_last_lines(story: Story) -> None:
    story.command("dev-agent", 1, "cat >a.py <<'END'\nprint(1)\nprint(2)\nEND", "\n".join(map(str, range(10))), 1)
    assert told(story) == [
        "dev-agent  $ cat >a.py <<'END' … (+3 lines)",
        "dev-agent  … 4 more lines",
        *(" " * 11 + str(number) for number in range(4, 10)),
        " " * 11 + "failed, exit status 1",
    ]
    assert told(story, WHOLE)[:2] == ["dev-agent  $ cat >a.py <<'END'", "             print(1)"]
    assert [line.split()[-1] for line in told(story, WHOLE)[4:14]] == list("0123456789")


def test_lines_are_folded_below_their_beginning(story: Story) -> None:
    story.say("dev-agent", 1, "A regular expression finds number and unit, and that is all there is to it.")
    assert told(story, width=60) == [
        "dev-agent  “A regular expression finds number and",
        "           unit, and that is all there is to it.”",
    ]


def test_a_prompt_is_told_of_one_agent_only(story: Story) -> None:
    story.turn("dev-agent", 2, "\n".join(f"line {number}" for number in range(20)))
    assert told(story) == ["dev-agent  running: turn 2"]
    lines = told(story, NORMAL)
    assert lines[1:3] == ["dev-agent  turn 2, prompt:", "           │ line 0"]
    assert lines[-1] == "           │ … 8 more lines"
    assert len(told(story, WHOLE)) == 22


def test_the_building_of_a_machine_is_seen(story: Story) -> None:
    story.tell(ev.SandboxChanged, "dev-agent", state="starting", note="")
    story.tell(ev.SandboxChanged, "dev-agent", state="starting", note="image base: unpacks 120 packages")
    named = f"{story.fleet}.dev-agent: the machine boots"
    story.tell(ev.SandboxChanged, "dev-agent", state="starting", note=named)
    story.machine("dev-agent")
    assert told(story) == [
        "dev-agent  machine: image base: unpacks 120 packages",
        "dev-agent  machine: the machine boots",
        "dev-agent  machine ready after 1.4 s: restored from template",
    ]


def test_what_a_tool_of_ours_did_is_a_fact_of_its_own(story: Story) -> None:
    for title in ("skerry: memory_append {}", "Edit duration.py"):
        story.tell(ev.ToolStarted, "dev-agent", turn=1, call_id=title, title=title)
        story.tell(ev.ToolEnded, "dev-agent", turn=1, call_id=title, title=title, status="completed", output="done")
    assert told(story) == ["dev-agent  • Edit duration.py"]


def test_a_refused_message_says_why(story: Story) -> None:
    message = story.send("dev-agent", "test-agent", "Hi", "Body", MessageState.DELIVERED)
    story.move(message, MessageState.READ)
    assert told(story)[0] == f"dev-agent  → test-agent: Hi  ({message})"
    assert told(story, NORMAL)[1:] == [], "the prompt shows what was read"


@pytest.mark.parametrize("outcome", ["completed", "stopped", "failed"])
def test_the_end(story: Story, outcome: str) -> None:
    story.end(outcome)
    words = {"completed": "has completed", "stopped": "has been stopped", "failed": "has failed"}[outcome]
    assert told(story)[-1] == f"team       the run {words}"


def test_every_text_of_an_agent_is_made_harmless(story: Story) -> None:
    evil = "\x1b]0;gotcha\x07\x1b[2Jboo\x9b31m\u202e"
    story.turn("dev-agent", 1, evil)
    story.say("dev-agent", 1, evil)
    story.command("dev-agent", 1, evil, evil)
    story.send("dev-agent", evil, evil, evil, MessageState.REFUSED, reason=evil)
    story.ask("dev-agent", evil, evil, (evil,), evil)
    story.note("dev-agent", evil, evil)
    story.state("dev-agent", AgentStatus.FAILED, evil)
    story.tell(ev.AgentFinished, "dev-agent", summary=evil)
    for depth in (BRIEF, NORMAL, WHOLE):
        text = "\n".join(told(story, depth))
        assert "boo" in text
        assert [char for char in text if not (char.isprintable() or char == "\n")] == []


def test_one_line_too_many_is_shown() -> None:
    assert some_lines("1\n2\n3\n", 2) == ["1", "2", "3"]
    assert some_lines("1\n2\n3\n4", 2) == ["1", "2", "… 2 more lines"]
    assert some_lines("1\n2\n3\n4", 2, last=True) == ["… 2 more lines", "3", "4"]


def test_limits_and_lost_machines(story: Story) -> None:
    story.tell(ev.LimitReached, "dev-agent", limit="command_time", detail="sleep ended after 10m")
    story.tell(ev.LimitReached, "dev-agent", limit="disk", detail="no space is left", count=7)
    story.tell(ev.SandboxChanged, "dev-agent", state="lost", note="QEMU has ended; it is started again")
    story.tell(ev.SandboxChanged, "dev-agent", state="paused", note="its processors stand still")
    story.tell(ev.HostReconciled, removed=(("disk", "x.y", "no agent has it"),))
    story.tell(ev.HostReconciled)
    assert told(story) == [
        "dev-agent  limit reached, command time: sleep ended after 10m",
        "dev-agent  limit reached, disk: no space is left (7 times)",
        "dev-agent  machine lost: QEMU has ended; it is started again",
        "dev-agent  machine paused: its processors stand still",
        "team       left over and removed when the engine started: disk x.y (no agent has it)",
    ]


def test_what_a_person_changes_in_a_team_is_told(story: Story) -> None:
    agents = (ev.AgentDeclared(id="dev-agent", type="codex"),)
    story.tell(ev.FleetReloaded, "", agents=agents, added=("docs-agent",), removed=("a", "b"))
    story.tell(ev.FleetReloaded, "", agents=agents)
    story.tell(ev.ChannelOpened, "dev-agent", recipient="test-agent")
    story.tell(ev.RunReseeded, "", seed=1, why="Temporal did not know it")
    story.tell(ev.ToolRefused, "dev-agent", tool="re\x1bply", reason="you have received no message 'm-1'")
    assert told(story) == [
        "team       agents.yaml read again: added docs-agent; removed a, b",
        "team       agents.yaml read again: nothing changed",
        "dev-agent  may write to test-agent from now on",
        "team       the run was started again from the journal: Temporal did not know it",
        "dev-agent  re\ufffdply refused: you have received no message 'm-1'",
    ]
