"""A memory goes out as one file and comes back; a file that anybody changed does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ActionRefused
from app.domain.memory import Change, Revision
from app.store.memory_export import export_lines, read_export
from tests.store.memory_desk import USER, MemoryDesk

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CONTENTS = st.lists(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8")), min_size=1)


def exported(*contents: bytes) -> bytes:
    history = [
        (Revision(number, NOW, Change("agent", "append"), len(data), hashlib.sha256(data).hexdigest()), data)
        for number, data in enumerate(contents, start=1)
    ]
    return b"".join(export_lines("alice", "demo", history, len(history), NOW))


def resealed(lines: list[Any]) -> bytes:
    """The file of changed lines, with a hash that is right: as somebody makes it who means harm."""
    dumped = [json.dumps(line).encode() + b"\n" for line in lines[:-1]]
    end = {"end": hashlib.sha256(b"".join(dumped)).hexdigest()}
    return b"".join(dumped) + json.dumps(end).encode() + b"\n"


@given(CONTENTS)
def test_every_content_comes_back(contents: list[bytes]) -> None:
    found = read_export(exported(*contents))
    assert [draft.content for draft in found.history()] == contents
    assert found.content == contents[-1]


def test_a_note_makes_a_line_of_its_size() -> None:
    old = b"line\n" * 10_000
    assert len(exported(old, old + b"one more\n")) - len(exported(old)) < 500


def _set(number: int, **values: Any) -> Callable[[list[Any]], None]:
    return lambda lines: lines[number].update(values)


HOSTILE: dict[str, Callable[[list[Any]], Any]] = {
    "of version 2": _set(0, version=2),
    "line 1: format": _set(0, format="other"),
    "line 1: evil": _set(0, evil=1),
    "it has 4 lines, not 12": _set(0, revisions=10),
    "line 1: revisions": _set(0, revisions=10**9),
    "line 1: agent has the forbidden character": _set(0, agent="al\x1b[2J"),
    "line 2: heading has the forbidden character": _set(1, heading="\x1b[2J"),
    "line 2: why has 2000 bytes": _set(1, why="x" * 2000),
    "line 2: author": _set(1, author="root"),
    "line 2: action": _set(1, action="rm"),
    "line 2: at": _set(1, at="yesterday"),
    "line 3: revision 1 comes after 1": _set(2, revision=1),
    "line 2: its parts do not fit": _set(1, head=5),
    "line 3: its size is not": _set(2, size=9),
    "line 3: size": _set(2, size=10**12),
    "line 2: head": _set(1, head=-1),
    "line 3: its text is not what was exported": _set(2, text="other!\n"),
    "line 3: its text is damaged": lambda lines: lines[2].update(base64="?", text=None),
    "line 3: its parts": lambda lines: lines[2].update(base64="eA=="),
    "line 2": lambda lines: lines.__setitem__(1, [1]),
}


@pytest.mark.parametrize("words", HOSTILE)
def test_a_hostile_file_is_refused_with_the_reason(words: str) -> None:
    lines = [json.loads(line) for line in exported(b"one\n", b"one\ntwo...!").splitlines()]
    assert (lines[2]["head"], lines[2]["tail"], lines[2]["text"]) == (4, 0, "two...!")
    HOSTILE[words](lines)
    with pytest.raises(ActionRefused, match="cannot be imported") as refused:
        read_export(resealed(lines))
    assert words in refused.value.message


@pytest.mark.parametrize("data", [b"", b"\n", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"format":"skerry-memory"}\n' * 3])
def test_what_is_no_export_is_refused(data: bytes) -> None:
    with pytest.raises(ActionRefused, match="cannot be imported"):
        read_export(data)


def test_a_changed_byte_is_noticed() -> None:
    good = exported(b"one\n", b"two\n")
    for place in range(0, len(good), 7):
        bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        with pytest.raises(ActionRefused):
            read_export(bad)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MemoryDesk]:
    desk = MemoryDesk(tmp_path)
    yield desk
    desk.close()


def test_what_there_was_stays_and_the_other_history_follows(desk: MemoryDesk) -> None:
    alice, bob = desk.memory(), desk.memory("bob")
    alice.append("Notes", "what alice knows", Change("agent", "append", run="r1", turn=3))
    alice.append("Notes", "what alice knows besides")
    bob.append("Notes", "what bob knows")
    kept = [(item, alice.content(item.number)) for item in alice.history()]
    found = read_export(b"".join(export_lines("alice", "demo", kept, len(kept), NOW)))
    assert bob.take_over(found.content, Change("user", "import", why="a new start"), found.history) == 4
    assert bob.read() == alice.read()
    history = bob.history()
    assert [item.change.action for item in history] == ["append", "append", "append", "import"]
    assert history[1].origin == "alice of demo, revision 1"
    assert (history[1].change.turn, history[1].at) == (3, kept[0][0].at)
    assert bob.content(1) == b"## Notes\n\nwhat bob knows\n"
    bob.restore(1, USER)
    assert bob.read() == "## Notes\n\nwhat bob knows\n"
    assert bob.append("Notes", "goes on") == 6
