"""No key is where an agent, or anybody who reads what Skerry writes, could find it; a new key counts at once."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.config import Paths
from tests.e2e.team_on_disk import ROOT, TeamOnDisk, cleared

pytestmark = [
    pytest.mark.vm,
    pytest.mark.codex,
    pytest.mark.claude,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can read the memory of a virtual machine"),
]

SCENARIO = Path(__file__).parent / "keys" / "scenario.yaml"
AGENTS = ("codex-agent", "claude-agent", "loop-agent")
PLAN = """
providers:
  one: {{api: openai, base_url: "{url}/codex-agent/openai/v1", credential: "file:{key}"}}
  two: {{api: anthropic, base_url: "{url}/claude-agent/anthropic", credential: "file:{key}"}}
  three: {{api: openai, base_url: "{url}/loop-agent/openai/v1", credential: "file:{key}"}}
defaults: {{model: rehearsal, limits: {{stall: 1h}}, initial_instructions: "Begin with {marker}."}}
agents:
  - {{id: codex-agent, type: codex, provider: one}}
  - {{id: claude-agent, type: claude-code, provider: two}}
  - {{id: loop-agent, type: openai, provider: three}}
"""


@contextmanager
def locked_provider(key: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.e2e.locked_provider", str(SCENARIO), str(key)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def write_key(file: Path, key: str) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(key)
    draft.chmod(0o600)
    draft.replace(file)


def test_keys_stay_with_the_gateway(tmp_path: Path, paths: Paths) -> None:
    first, second, marker = (f"sk-{name}-{secrets.token_hex(20)}" for name in ("first", "second", "marker"))
    ours, theirs = tmp_path / "key", tmp_path / "accepted"
    write_key(ours, first)
    write_key(theirs, first)
    plan, folder = tmp_path / "plan", tmp_path / "project"
    plan.mkdir()
    folder.mkdir()
    with locked_provider(theirs) as url:
        (plan / "agents.yaml").write_text(PLAN.format(url=url, key=ours, marker=marker))
        with cleared(TeamOnDisk(folder, paths, plan)) as team:
            work_behind_a_key(team, ours, theirs, (first, second), marker)
            with urllib.request.urlopen(f"{url}/refused") as answer:
                assert answer.read() == b"0"
    for key in (first, second):
        assert found_in(key, paths.state) == [] and found_in(key, folder) == [], key
    assert found_in(marker, paths.state), "what is looked for would be found"


def work_behind_a_key(team: TeamOnDisk, ours: Path, theirs: Path, keys: tuple[str, str], marker: str) -> None:
    running = team.start("run", "--headless")
    try:
        team.until(lambda: {item.agent for item in team.board().open_interrupts} == set(AGENTS), seconds=300)
        machines = {agent: memory_of(team, agent) for agent in AGENTS}
        assert [agent for agent, memory in machines.items() if keys[0].encode() in memory] == []
        assert marker.encode() in machines["codex-agent"], "what is looked for would be found"
        limits = Path(f"/proc/{team.engine_pid()}/limits").read_text()
        assert re.search(r"^Max core file size +[01] ", limits, re.M), "no core of the engine is kept"
        write_key(theirs, keys[1])
        write_key(ours, keys[1])
        for question in team.board().open_interrupts:
            assert team.skerry("answer", question.id, "Yes").returncode == 0
        output, _ = running.communicate(timeout=300)
    finally:
        running.kill()
    assert running.returncode == 0, output + team.story()
    states = {agent["id"]: agent["state"] for agent in team.json("status")["agents"]}
    assert states == dict.fromkeys(AGENTS, "completed")
    for key in keys:
        assert key not in output
    for agent in AGENTS:
        workspace = team.folder / f"agents/{agent}/sandbox"
        assert (workspace / "log.txt").read_text() == "built\nworked\n"
        assert "HOME=" in (workspace / "env.txt").read_text()


def memory_of(team: TeamOnDisk, agent: str) -> bytes:
    """All of the machine's memory: what its kernel and every program in it hold."""
    (process,) = [pid for pid in team.machines_left() if f"{team.fleet}.{agent},".encode() in command_line(pid)]
    found: list[bytes] = []
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            begin, end = (int(number, 16) for number in place.split("-"))
            if rights.startswith("rw") and end - begin >= 256 * 2**20:
                memory.seek(begin)
                found += pieces(memory, end - begin)
    return b"".join(found)


def pieces(memory: object, size: int) -> Iterator[bytes]:
    """What can be read of it, in large pieces."""
    while size > 0:
        data = memory.read(min(size, 2**24))  # type: ignore[attr-defined]
        if not data:
            return
        yield data
        size -= len(data)


def command_line(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


def found_in(text: str, folder: Path) -> list[Path]:
    """Files that hold it: databases, logs, transcripts, disks of machines."""
    found = subprocess.run(["grep", "-rlaF", "--devices=skip", text, str(folder)], capture_output=True, check=False)
    assert found.returncode in (0, 1), found.stderr
    return [Path(os.fsdecode(line)) for line in found.stdout.splitlines()]
