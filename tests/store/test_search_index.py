from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.domain import events as ev
from app.domain.envelope import Envelope
from app.domain.interrupt import Interrupt, InterruptKind
from app.domain.search import Found, Hit, Query, parse_terms
from app.store.journal import Journal, JournalReader
from app.store.search_index import SearchIndex, Source
from app.testing import EventBuilder

TEXT = """\
# Deployment

The deploying pipelines fail on Fridays.
See resolve_dependencies() in src/planner.py.

## Ключи

Ключ лежит в сейфе. 配置文件已经更新。
"""


@pytest.fixture
def place(tmp_path: Path) -> Source:
    path = tmp_path / "alice" / "memory.md"
    path.parent.mkdir()
    path.write_text(TEXT)
    return Source("f", "alice", path)


@pytest.fixture
def index(tmp_path: Path) -> Any:
    index = SearchIndex(tmp_path / "search.db")
    yield index
    index.close()


def ask(words: str, **narrow: Any) -> Query:
    return Query(parse_terms(words), **narrow)


def lines(found: Found) -> list[int]:
    return [hit.line for hit in found.hits]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("deploy pipeline", 3),  # stems
        ('"pipelines fail"', 3),
        ("frid*", 3),
        ("ключ", 8),
        ("dependencies()", 4),
        ("solve_dep", 4),  # within a word
        ("配置文件", 8),
        ("已经", 8),  # shorter than a trigram
        ("planner.py -python", 4),
    ],
)
def test_words_phrases_beginnings_and_texts_within_words_are_found(
    index: SearchIndex, place: Source, words: str, line: int
) -> None:
    hits = index.search(ask(words), [place]).hits
    assert [hit.line for hit in hits] == [line]
    assert hits[0].path == str(place.path)
    assert any(marked for _, marked in hits[0].snippet)


@pytest.mark.parametrize("words", ['"fail pipelines"', "deploy -friday", "nothing", "pipelines ключ", "solve_x"])
def test_what_does_not_stand_there_is_not_found(index: SearchIndex, place: Source, words: str) -> None:
    assert index.search(ask(words), [place]).hits == ()


def test_a_snippet_marks_what_was_looked_for(index: SearchIndex, place: Source) -> None:
    (hit,) = index.search(ask("fail"), [place]).hits
    assert [text for text, marked in hit.snippet if marked] == ["fail"]
    assert "".join(text for text, _ in hit.snippet).startswith("The deploying pipelines fail on Fridays.")
    assert hit.heading == "Deployment"


def test_a_heading_counts_more_than_the_text(index: SearchIndex, place: Source) -> None:
    place.path.write_text("# Notes\n\nsafe and sound, and much else besides\n\n# Safe\n\nnothing else\n")
    assert [hit.heading for hit in index.search(ask("safe"), [place]).hits] == ["Safe", "Notes"]


def _appended(path: Path) -> None:
    with path.open("a") as file:
        file.write("\nA walrus.\n")


def _renamed_over(path: Path) -> None:
    new = path.with_name("new")
    new.write_text("# Deployment\n\nA walrus.\n")
    new.rename(path)


def _in_place(path: Path) -> None:
    """The same size, the same inode, and the time stamp put back."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(TEXT.replace("Fridays", "walruss").encode())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("edit", [_appended, _renamed_over, _in_place])
def test_an_edit_by_any_editor_is_found_at_once(index: SearchIndex, place: Source, edit: Any) -> None:
    assert not index.search(ask("walrus*"), [place]).hits
    edit(place.path)
    assert len(index.search(ask("walrus*"), [place]).hits) == 1
    assert len(index.search(ask("friday"), [place]).hits) == (edit is _appended)
    place.path.unlink()
    assert not index.search(ask("walrus*"), [place]).hits
    assert index.check()


def test_a_file_that_rests_is_not_read_again(index: SearchIndex, place: Source) -> None:
    old = time.time() - 60
    os.utime(place.path, (old, old))
    assert index.refresh([place]) == 2
    place.path.chmod(0)  # root may read all the same: so the text is looked at, too
    with place.path.open("r+b") as file:
        file.write(b"# DEPLOYMENT")
    os.utime(place.path, (old, old))
    assert index.refresh([place]) == 0


def test_only_what_changed_is_indexed_again_and_what_moved_has_its_new_line(index: SearchIndex, place: Source) -> None:
    index.refresh([place])
    place.path.write_text("# First\n\nnew\n\n" + TEXT)
    assert index.refresh([place]) == 1
    assert lines(index.search(ask("fridays"), [place])) == [7]


def test_agents_are_kept_apart(index: SearchIndex, place: Source, tmp_path: Path) -> None:
    other = Source("f", "bob", tmp_path / "bob.md")
    other.path.write_text("# Deployment\n\nBob's pipelines.\n")
    both = [place, other]
    assert {hit.agent for hit in index.search(ask("pipelines"), both).hits} == {"alice", "bob"}
    own = frozenset({("f", "bob")})
    assert [hit.agent for hit in index.search(ask("pipelines", agents=own), both).hits] == ["bob"]
    assert not index.search(ask("fridays", agents=own), both).hits
    assert not index.search(ask("solve_dep", agents=own, substring=True), both).hits
    assert not index.search(ask("pipelines", agents=frozenset({("g", "bob")})), both).hits


def facts() -> list[ev.Event]:
    make = EventBuilder("f", "r")

    def fact(kind: type[ev.Fact], agent: str, **fields: object) -> Any:
        return kind.model_validate(make.base(agent) | fields)

    at = datetime.fromtimestamp(1_800_000_000, UTC)
    letter = Envelope(id="m-1", sender="alice", recipient="bob", subject="Walrus", body="It eats clams.", sent_at=at)
    asked = Interrupt(
        id="i-1", agent="bob", kind=InterruptKind.USER_INPUT, title="Feed the walrus?", options=("yes",), raised_at=at
    )
    return [
        make.run_started("alice", "bob"),
        fact(ev.MessageAccepted, "alice", envelope=letter),
        fact(ev.AgentSaid, "bob", turn=3, text="I shall look after the walrus."),
        fact(ev.ToolEnded, "bob", turn=3, call_id="c", title="ls", command="ls walrus", status="completed", output="x"),
        fact(ev.InterruptRaised, "bob", interrupt=asked),
    ]


def test_messages_transcripts_and_questions_are_in_the_same_index(index: SearchIndex, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.append(*facts())
    reader = JournalReader(tmp_path / "journal.db")

    def found(**narrow: Any) -> list[Hit]:
        return sorted(index.search(ask("walrus", **narrow), (), reader).hits, key=lambda hit: hit.at)

    assert [(hit.kind, hit.agent, hit.turn, hit.ref) for hit in found()] == [
        ("message", "alice", 0, "m-1"),
        ("transcript", "bob", 3, ""),
        ("transcript", "bob", 3, ""),
        ("interrupt", "bob", 0, "i-1"),
    ]
    assert [hit.kind for hit in found(kinds=frozenset({"message", "interrupt"}))] == ["message", "interrupt"]
    with_bob = found(agents=frozenset({("f", "bob")}))
    assert len(with_bob) == 4, "a message is of both"
    assert [hit.kind for hit in found(agents=frozenset({("f", "alice")}))] == ["message"]
    first = found()[0].at
    assert len(found(until=first)) == 0
    assert len(found(since=first)) == 4
    assert len(found(fleet="g")) == 0
    journal.append(EventBuilder("f", "r2").run_started("a"))
    assert len(found()) == 4, "nothing is taken twice"
    journal.close()
    reader.close()


def test_another_journal_takes_the_place_of_the_old_one(index: SearchIndex, tmp_path: Path) -> None:
    for name, word in (("one", "walrus"), ("two", "seal")):
        journal = Journal(tmp_path / f"{name}.db")
        make = EventBuilder("f", name)
        journal.append(make.run_started("a"))
        journal.append(ev.AgentSaid.model_validate(make.base("a") | {"turn": 1, "text": f"a {word}"}))
        journal.close()
        reader = JournalReader(tmp_path / f"{name}.db")
        assert len(index.search(ask(word), (), reader).hits) == 1
        reader.close()
    assert not index.search(ask("walrus")).hits


def _nonsense(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def _holes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in range(8192, len(data), 8192):
        data[start : start + 2048] = b"\xff" * len(data[start : start + 2048])
    path.write_bytes(data)


def _of_another_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()


@pytest.mark.parametrize("harm", [Path.unlink, _nonsense, _holes, _of_another_version])
def test_a_missing_or_damaged_index_is_made_anew(tmp_path: Path, place: Source, harm: Any) -> None:
    path = tmp_path / "search.db"
    index = SearchIndex(path)
    place.path.write_text("\n".join(f"# Heading {number}\n\nwalrus {number}\n" for number in range(400)))
    index.refresh([place])
    index.close()
    harm(path)
    index = SearchIndex(path)
    hits = index.search(ask("walrus 399"), [place]).hits
    assert [hit.heading for hit in hits] == ["Heading 399"]
    assert index.check()
    index.close()


def test_who_has_it_open_goes_on_when_another_makes_it_anew(tmp_path: Path, place: Source) -> None:
    one, other = SearchIndex(tmp_path / "search.db"), SearchIndex(tmp_path / "search.db")
    assert one.search(ask("fridays"), [place]).hits
    assert other.rebuild([place]) == 2
    _appended(place.path)
    assert len(one.search(ask("walrus"), [place]).hits) == 1
    assert len(other.search(ask("walrus"), [place]).hits) == 1
    one.close()
    other.close()


def test_a_kill_while_indexing_leaves_an_index_that_agrees_with_the_file(tmp_path: Path, place: Source) -> None:
    script = (
        "import sys; from pathlib import Path; from app.store.search_index import SearchIndex, Source\n"
        "index = SearchIndex(Path(sys.argv[1])); path = Path(sys.argv[2])\n"
        "for number in range(10_000):\n"
        "    path.write_text(''.join(f'# Heading {i}\\n\\nwalrus {i * number}\\n' for i in range(40)))\n"
        "    index.refresh([Source('f', 'alice', path)])\n"
        "    print(number, flush=True)\n"
    )
    database = tmp_path / "search.db"
    for wanted in (1, 3, 4):
        command = [sys.executable, "-c", script, str(database), str(place.path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(wanted):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
        index = SearchIndex(database)
        index.refresh([place])
        assert index.check()
        for number, line in enumerate(place.path.read_text().splitlines(), 1):
            if line.startswith("walrus"):
                found = index.search(ask(f'"{line}"', limit=200), [place])
                assert number in lines(found)
        index.close()


WORDS = ("walrus", "seal", "otter", "krill")


class Edits(RuleBasedStateMachine):
    """Whatever is written, the index finds each word in exactly the lines it stands in."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="skerry-search-"))
        self.source = Source("f", "a", self.folder / "memory.md")
        self.index = SearchIndex(self.folder / "search.db")

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)

    @rule(parts=st.lists(st.sampled_from([*WORDS, "#", "# otter", "```", "", "\r", "x" * 5000]), max_size=60))
    def rewrite(self, parts: list[str]) -> None:
        self.source.path.write_text("\n".join(parts))

    @rule(word=st.sampled_from(WORDS))
    def append(self, word: str) -> None:
        with self.source.path.open("a") as file:
            file.write(f"\n{word}\n")

    @rule()
    def remove(self) -> None:
        self.source.path.unlink(missing_ok=True)

    @rule()
    def lose_the_index(self) -> None:
        (self.folder / "search.db").unlink()

    @invariant()
    def agrees(self) -> None:
        text = self.source.path.read_bytes().decode() if self.source.path.exists() else ""
        for word in WORDS:
            found = self.index.search(Query(parse_terms(word), limit=200), [self.source])
            assert bool(found.hits) == (word in text)
            for hit in found.hits:
                assert word in text.split("\n")[hit.line - 1]


Edits.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestEdits = Edits.TestCase
