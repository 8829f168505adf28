"""``status``, ``messages``, ``interrupts`` and ``console`` on a real journal; no engine runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.config import Paths
from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, InterruptKind
from app.store.usage import UsageSample, UsageTable
from tests.cli.conftest import Skerry
from tests.ui.story import Story

AGENTS = ("dev-agent", "test-agent", "product-owner-agent")
QUESTION = "Shall I accept the duration module?"


@pytest.fixture
def run(story: Story) -> Story:
    """A run in the middle: one waits for the user, one is at work, one failed."""
    story.start()
    story.turn("dev-agent", 1, "Begin.", "start")
    story.command("dev-agent", 1, "python3 duration.py", "5400 1h30m\n")
    story.send("dev-agent", "test-agent", "Please test duration.py", "Here it is.", MessageState.DELIVERED)
    story.send("test-agent", "product-owner-agent", "May I?", "Hello.", MessageState.REFUSED, reason="not listed")
    story.ask("product-owner-agent", QUESTION, "Both bugs are repaired.", ("Accept it", "Not yet"), "Accept it")
    story.state("product-owner-agent", AgentStatus.WAITING, f"your answer: {QUESTION}", 1)
    story.state("test-agent", AgentStatus.FAILED, "the machine was lost: no answer on its channel for 60 seconds", 1)
    return story


@pytest.mark.parametrize("columns", [60, 80, 120, 160])
@pytest.mark.parametrize("command", [("status",), ("messages",), ("interrupts", "--all"), ("console", "dev-agent")])
def test_nothing_is_broken_at_any_width(
    run: Story, skerry: Skerry, terminal: Callable[[int], None], columns: int, command: tuple[str, ...]
) -> None:
    terminal(columns)
    lines = skerry(*command).stdout.splitlines()
    limit = columns if command[0] != "status" else 200  # the address of Temporal's window is never folded
    assert [line for line in lines if len(line) > limit] == []
    words = " ".join(" ".join(lines).split())
    if command == ("status",):
        for agent, state in zip(AGENTS, ("running", "failed", "waiting"), strict=True):
            assert any(line.startswith(f"{agent} ") and line.split()[1] == state for line in lines)
        assert "the machine was lost: no answer on its channel for 60 seconds" in words
    if command == ("messages",):
        assert sum(" refused" in line and line.startswith("m-") for line in lines) == 1


def test_status_in_a_file_is_a_line_an_agent(run: Story, skerry: Skerry) -> None:
    done = skerry("status")
    lines = [line for line in done.stdout.splitlines() if line.startswith(AGENTS)]
    assert [line.split()[:2] for line in lines] == [
        ["dev-agent", "running"],
        ["test-agent", "failed"],
        ["product-owner-agent", "waiting"],
    ]
    assert lines[2].endswith(f"your answer: {QUESTION}")
    assert "1 question for you: skerry interrupts" in done.stdout
    assert "interrupted: goes on with the next 'skerry run'" in done.stdout


def test_status_for_programs(run: Story, skerry: Skerry) -> None:
    found = json.loads(skerry("status", "--json").stdout)
    assert list(found) == [
        "project",
        "fleet",
        "run",
        "outcome",
        "rehearsal",
        "engine",
        "agents",
        "host",
        "approving_until",
    ]
    assert (found["project"], found["run"], found["outcome"]) == ("feature-x", "run-1", "")
    assert (found["rehearsal"], found["engine"]) == ("blueprint", None)
    dev, test, owner = found["agents"]
    assert {"id", "state", "reason", "since", "turn", "unread", "open_interrupts", "last_action"} <= set(dev)
    assert (dev["id"], dev["state"], dev["commands"], dev["needs_user"]) == ("dev-agent", "running", 1, False)
    assert (test["state"], test["reason"].split(":")[0]) == ("failed", "the machine was lost")
    assert (owner["state"], owner["open_interrupts"], owner["needs_user"]) == ("waiting", 1, True)
    assert "T" in owner["since"]


def test_messages_in_a_file(run: Story, skerry: Skerry) -> None:
    header, first, second = skerry("messages").stdout.splitlines()
    assert header.split() == ["ID", "SENT", "FROM", "TO", "STATE", "SUBJECT"]
    assert first.split(maxsplit=5)[2:] == ["dev-agent", "test-agent", "delivered", "Please test duration.py"]
    assert second.endswith("refused    May I?  (not listed)")
    assert len(skerry("messages", "--agent", "dev-agent").stdout.splitlines()) == 2
    assert skerry("messages", "--agent", "user").stdout == "user has no messages.\n"


def test_messages_for_programs(run: Story, skerry: Skerry) -> None:
    found = json.loads(skerry("messages", "--json").stdout)
    assert found["run"] == "run-1"
    first = found["messages"][0]
    assert {"id", "sender", "recipient", "subject", "body", "state", "reason", "history", "sent_at"} <= set(first)
    assert [step["state"] for step in first["history"]] == ["accepted", "delivered"]


def test_one_message(run: Story, skerry: Skerry) -> None:
    first = json.loads(skerry("messages", "--json").stdout)["messages"][0]
    shown = skerry("messages", first["id"]).stdout
    assert shown.startswith(f"dev-agent → test-agent  ({first['id']})\nPlease test duration.py\n")
    assert shown.endswith("\n\nHere it is.\n")
    assert skerry("messages", "m-").complained(1, "'m-' is not unique", first["id"])
    assert skerry("messages", first["id"] + "x").complained(1, "there is no message", f"mean {first['id']}?")


def test_interrupts_say_how_to_answer(run: Story, skerry: Skerry) -> None:
    run.ask("dev-agent", "How shall it be named?")
    run.ask("dev-agent", "Half of it is done", kind=InterruptKind.PROGRESS_REPORT)
    first, second, third = skerry("interrupts").stdout.split("\n\n")
    assert first.splitlines()[0].startswith(f"? {QUESTION}  (i-")
    assert first.splitlines()[2:5] == ["  Both bugs are repaired.", "  1. Accept it  (default)", "  2. Not yet"]
    assert first.splitlines()[5].endswith(" 1")
    assert second.splitlines()[-1].endswith('"your answer"')
    assert len(second.splitlines()) == 3, "neither a body nor options"
    assert third.startswith("… Half of it is done")
    assert "no answer is needed" in third


def test_from_elsewhere_the_project_is_named(
    run: Story, skerry: Skerry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "project"
    assert skerry("interrupts", "-p", "project").stdout.splitlines()[-1].endswith(f" 1 -p {place}")
    assert f"skerry interrupts -p {place}" in skerry("status", "-p", str(place)).stdout


def test_answered_interrupts_are_history(run: Story, skerry: Skerry) -> None:
    (open_one,) = json.loads(skerry("interrupts", "--json").stdout)["interrupts"]
    run.answered(open_one["id"], Answer(option="Not yet"))
    assert skerry("interrupts").stdout == "No agent needs you.\n"
    assert "  answered: Not yet (by user)" in skerry("interrupts", "--all").stdout
    found = json.loads(skerry("interrupts", "--all", "--json").stdout)
    assert found["interrupts"][0]["answer"] == Answer(option="Not yet").model_dump()


def test_console_tells_one_agents_turns(run: Story, skerry: Skerry) -> None:
    shown = skerry("console", "dev-agent").stdout
    assert "\n\n" in shown, "a turn begins after an empty line"
    for words in ("turn 1, prompt:", "│ Begin.", "$ python3 duration.py", "5400 1h30m", "→ test-agent: Please test"):
        assert words in shown
    assert QUESTION not in shown
    facts = [json.loads(line) for line in skerry("console", "dev-agent", "--json").stdout.splitlines()]
    assert {fact["agent"] for fact in facts} == {"dev-agent"}
    assert [fact["kind"] for fact in facts][:2] == ["agent_moved", "turn_started"]


def test_only_the_newest_run_is_told(run: Story, skerry: Skerry) -> None:
    later = Story(run.journal, run.fleet, "run-2", run.at)
    later.start()
    later.say("dev-agent", 1, "A new day.")
    shown = skerry("console", "dev-agent").stdout
    assert "A new day." in shown
    assert "Begin." not in shown
    assert skerry("messages").stdout == "There are no messages.\n"


def test_json_cannot_steer_a_terminal(run: Story, skerry: Skerry) -> None:
    run.say("dev-agent", 1, "\x1b[2J\x9b31m\u202e")
    run.send("dev-agent", "test-agent", "\x9b", "\x1b\u202e", MessageState.DELIVERED)
    for command in (("console", "dev-agent", "--json"), ("messages", "--json"), ("status", "--json")):
        text = skerry(*command).stdout
        assert [char for char in text if not (char.isprintable() or char == "\n")] == []
    assert json.loads(skerry("console", "dev-agent", "--json").stdout.splitlines()[-2])["text"].endswith("\u202e")


def test_before_the_first_run(story: Story, skerry: Skerry) -> None:
    assert skerry("status").stdout == "feature-x has not run yet; start it with: skerry run\n"
    assert json.loads(skerry("status", "--json").stdout)["agents"] == []
    assert skerry("messages").stdout == "There are no messages.\n"
    assert skerry("interrupts").stdout == "No agent needs you.\n"
    assert skerry("console", "dev-agent").stdout == "dev-agent has not run yet; start the team with: skerry run\n"


def test_a_wrong_agent_gets_the_nearest(story: Story, skerry: Skerry) -> None:
    assert skerry("console", "dev-agnt").complained(1, "there is no agent 'dev-agnt'", "did you mean dev-agent?")
    assert skerry("messages", "--agent", "tst-agent").complained(1, "did you mean test-agent?")


def test_a_machine_that_is_being_made_says_how_far(
    story: Story, skerry: Skerry, terminal: Callable[[int], None]
) -> None:
    terminal(80)
    story.start()
    story.state("dev-agent", AgentStatus.STARTING, "prepares its virtual machine")
    story.tell(ev.SandboxChanged, "dev-agent", state="starting", note="image base: unpacks 120 packages")
    assert "  machine: image base: unpacks 120 packages\n" in skerry("status").stdout


def test_status_tells_what_machines_take_and_meet(
    run: Story, skerry: Skerry, terminal: Callable[[int], None], paths: Paths
) -> None:
    run.tell(ev.SandboxChanged, "dev-agent", state="ready")
    run.tell(ev.LimitReached, "dev-agent", limit="memory", detail="the kernel ended python3")
    run.tell(ev.LimitReached, "dev-agent", limit="memory", detail="the kernel ended node", count=4)
    run.tell(ev.ToolRefused, "dev-agent", tool="reply", reason="you have received no message 'm-1'")
    run.tell(ev.SandboxChanged, "test-agent", state="stopped")
    run.journal.append(
        ev.HostReconciled(id="host/1", at=run.at, lost=("x.y",), removed=(("disk", "x.z", "no agent has it"),))
    )
    table, now = UsageTable(paths.journal_db), datetime.now(UTC)
    for name in ("dev-agent", "test-agent"):
        table.put([UsageSample(f"{run.fleet}.{name}", now, 12.4, 1536 * 2**20, 40 * 2**20)], now)
    table.close()
    found = json.loads(skerry("status", "--json").stdout)
    dev, test, _ = found["agents"]
    assert (dev["cpu_percent"], dev["memory_bytes"], dev["disk_bytes"]) == (12.4, 1536 * 2**20, 40 * 2**20)
    assert (dev["limit"], dev["limits_reached"]) == ("memory: the kernel ended node", 5)
    assert test["memory_bytes"] is None, "its machine is off"
    assert found["host"]["removed"] == [{"what": "disk", "name": "x.z", "why": "no agent has it"}]
    terminal(80)
    text = skerry("status").stdout
    head, row = (next(line for line in text.splitlines() if line.startswith(word)) for word in ("AGENT", "dev-agent"))
    assert row.split()[3:6] == ["12%", "1.5G", "40M"]
    assert head.index("CPU") + 3 == row.index("12%") + 3, "figures stand at the right"
    assert "limit: memory: the kernel ended node (5 times)" in text
    assert "refused: reply: you have received no message 'm-1'" in " ".join(text.split())
    assert "removed when the engine started: disk x.z (no agent has it)" in " ".join(text.split())


def test_the_disk_of_a_machine_that_does_not_run_is_shown(tmp_path: Path) -> None:
    from app.cli.look import _at_rest, _figures

    machine = tmp_path / "demo.alice"
    assert _at_rest(machine) is None and _figures(None) == ("-", "-", "-")
    machine.mkdir()
    (machine / "disk.qcow2").write_bytes(b"x" * 3 * 2**20)
    assert _figures(_at_rest(machine)) == ("-", "-", "3M")
