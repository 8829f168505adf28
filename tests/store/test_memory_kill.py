"""A process that is killed at any step of a write leaves the old file or the new one, and a history that agrees."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.search import Query, parse_terms
from app.store.search_index import SearchIndex, Source
from tests.store.memory_desk import MemoryDesk

STEPS = ("drafted", "intended", "swapped", "synced", "kept", "cleaned")
ROOT = Path(__file__).resolve().parents[2]
OLD = "## Notes\n\nthe first note\n"
NEW = "## Notes\n\nthe first note\nthe second note\n"

WRITER = """
import os, sys
from pathlib import Path
from tests.store.memory_desk import MemoryDesk, USER
from app.domain.memory import Change
from app.store.search_index import SearchIndex, Source
folder, kill_at, what, edit_at = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
seen = []
index = SearchIndex(folder / "search.db")
def step(name):
    seen.append(name)
    if name == edit_at and seen.count(name) == 1:
        path = folder / "alice" / "memory.md"
        path.write_text(path.read_text() + "what the user wrote\\n")
    index.refresh([Source("f", "alice", folder / "alice" / "memory.md")])
    if name == kill_at.split(":")[0] and seen.count(name) == int(kill_at.split(":")[1]):
        os.kill(os.getpid(), 9)
memory = MemoryDesk(folder).memory(step=step)
if what == "append":
    memory.append("Notes", "the second note", Change("agent", "append", id="call-1"))
else:
    memory.restore(1, USER)
"""


def killed(folder: Path, kill_at: str, what: str = "append", edit_at: str = "") -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITER, folder, kill_at, what, edit_at], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == -9, done.stderr.decode()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MemoryDesk]:
    desk = MemoryDesk(tmp_path)
    desk.memory().append("Notes", "the first note")
    yield desk
    desk.close()


def check_agreement(desk: MemoryDesk) -> None:
    """The newest revision is the file, every content is whole, nothing of the write is left lying about."""
    memory = desk.memory()
    newest = memory.history()[-1]
    check_index(desk, memory.path)
    assert memory.content(newest.number) == memory.path.read_bytes()
    assert [item.number for item in memory.history()] == list(range(1, newest.number + 1))
    assert [path.name for path in memory.path.parent.iterdir()] == ["memory.md"]


def check_index(desk: MemoryDesk, path: Path) -> None:
    """The index, of which the killed process had a part, finds each line of the file where it is, and no other."""
    source = Source("f", "alice", path)
    index = SearchIndex(desk.folder / "search.db")
    try:
        assert index.check()
        lines = path.read_text().splitlines()
        for words in ("the first note", "the second note", "what the user wrote"):
            hits = index.search(Query(parse_terms(f'"{words}"')), [source]).hits
            assert [lines[hit.line - 1] for hit in hits] == [words] * lines.count(words)
    finally:
        index.close()


@pytest.mark.parametrize("step", STEPS)
def test_the_file_is_the_old_or_the_new_one(desk: MemoryDesk, step: str) -> None:
    killed(desk.folder, f"{step}:1")
    path = desk.memory().path
    assert path.read_text() == (OLD if step in ("drafted", "intended") else NEW)
    assert desk.memory().read() == path.read_text()
    check_agreement(desk)
    assert [item.change.author for item in desk.memory().history()] == ["agent"] * len(desk.memory().history())


@pytest.mark.parametrize("step", STEPS)
def test_the_call_that_is_made_again_is_made_once(desk: MemoryDesk, step: str) -> None:
    killed(desk.folder, f"{step}:1")
    done = subprocess.run(
        [sys.executable, "-c", WRITER, desk.folder, "never:1", "append", ""], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert desk.memory().path.read_text() == NEW
    assert len(desk.memory().history()) == 2
    check_agreement(desk)


@pytest.mark.parametrize("step", STEPS)
def test_a_restore_is_whole_or_not_at_all(desk: MemoryDesk, step: str) -> None:
    desk.memory().append("Notes", "the second note")
    killed(desk.folder, f"{step}:1", "restore")
    assert desk.memory().read() == (NEW if step in ("drafted", "intended") else OLD)
    check_agreement(desk)


MEANWHILE = [
    *(("drafted", f"{step}:{time}") for step in STEPS for time in (1, 2)),
    *(("intended", f"{step}:{time}") for step in STEPS for time in (1, 2) if (step, time) != ("drafted", 1)),
    *(("swapped", f"{step}:1") for step in STEPS[2:]),  # then it is an edit of the new file: nothing to merge
]


@pytest.mark.parametrize(("edit_at", "step"), MEANWHILE)
def test_what_a_person_saves_meanwhile_survives_too(desk: MemoryDesk, step: str, edit_at: str) -> None:
    killed(desk.folder, step, edit_at=edit_at)
    text = desk.memory().read()
    check_agreement(desk)
    assert text.count("what the user wrote\n") == 1
    assert text.count("the first note\n") == 1
    assert text.count("the second note\n") == (0 if step in ("drafted:1", "intended:1") else 1)
    assert "user" in [item.change.author for item in desk.memory().history()]
