"""Writers that are killed at any moment while a person saves: what was acknowledged is there, once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from tests.store.memory_desk import EDITORS, MemoryDesk

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from pathlib import Path
from tests.store.memory_desk import MemoryDesk
from app.domain.memory import Change
memory = MemoryDesk(Path(sys.argv[1])).memory()
for number in range(10_000):
    line = f"writer {sys.argv[2]} wrote line {number}"
    memory.append("Notes", line, Change("agent", "append", id=line))
    print(line, flush=True)
"""
ROUNDS = 4


def test_what_was_acknowledged_is_there_once(tmp_path: Path) -> None:
    desk, chance = MemoryDesk(tmp_path), random.Random(7)
    path = desk.memory().path
    wanted: list[str] = []
    desk.memory().append("Notes", "the first of all lines")
    for number in range(ROUNDS):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, tmp_path, f"{number}.{name}"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in range(2)
        ]
        wanted += [_first_line(writer) for writer in writers]
        for edit in range(5):
            line = f"the user wrote line {number}.{edit}"
            text = path.read_bytes()  # never away: it is swapped
            EDITORS[edit % 2](path, text + line.encode() + b"\n")
            wanted.append(line)
            time.sleep(chance.random() / 10)  # when they are killed is left to chance
        for writer in writers:
            writer.kill()
            wanted += (writer.communicate()[0]).splitlines()
        there = desk.memory().read().splitlines()
        assert [line for line in wanted if there.count(line) != 1] == []
    newest = desk.memory().history()[-1]
    assert desk.memory().content(newest.number) == path.read_bytes()
    assert len({line for line in wanted if line.startswith("writer")}) >= 2 * ROUNDS
    desk.close()


def _first_line(writer: subprocess.Popen[str]) -> str:
    assert writer.stdout is not None
    return writer.stdout.readline().rstrip("\n")
