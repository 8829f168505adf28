from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.errors import ActionRefused, NotFound
from app.domain.memory import MAX_MEMORY_BYTES, MAX_NOTE_BYTES, Change
from app.domain.merge import MARK
from app.store.memory import MemoryFile
from tests.store.memory_desk import EDITORS, USER, MemoryDesk

TEMPLATE = "# Memory of alice\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MemoryDesk]:
    desk = MemoryDesk(tmp_path)
    yield desk
    desk.close()


@pytest.fixture
def file(desk: MemoryDesk) -> MemoryFile:
    return desk.memory()


def kinds(file: MemoryFile) -> list[tuple[str, str]]:
    return [(item.change.author, item.change.action) for item in file.history()]


def test_notes_go_under_their_heading(file: MemoryFile) -> None:
    assert file.read() == ""
    assert file.append("Decisions", "Use tabs.") == 1
    assert file.append("Open ends", "Docs.") == 2
    assert file.append("Decisions", "Use semver.") == 3
    assert file.read() == "## Decisions\n\nUse tabs.\nUse semver.\n\n## Open ends\n\nDocs.\n"
    assert file.replace("## Open ends", "None.") == 4
    assert file.read() == "## Decisions\n\nUse tabs.\nUse semver.\n\n## Open ends\n\nNone.\n"
    file.replace("Decisions", "")
    assert file.read() == "## Open ends\n\nNone.\n"
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_revision_says_who_when_why_and_in_which_turn(file: MemoryFile) -> None:
    file.append("Notes", "One.", Change("agent", "append", why="it was decided", run="r1", turn=7, id="c1"))
    (revision,) = file.history()
    assert revision.change == Change("agent", "append", "Notes", "it was decided", "r1", 7, "c1")
    assert (revision.number, revision.size, revision.at.utcoffset()) == (1, 15, revision.at.utcoffset())
    assert file.append("Notes", "Other.", Change("agent", "append", id="c1")) == 1, "the same call again"
    assert file.append("Notes", "Two.") == 2


def test_search_finds_lines_with_every_word(file: MemoryFile) -> None:
    file.append("Decisions", "Use Tabs for code.\nUse spaces for prose.")
    assert file.search("tabs use") == [("Decisions", "Use Tabs for code.")]
    assert file.search("missing") == []


def test_a_persons_edit_is_kept_as_a_revision_of_its_own(file: MemoryFile) -> None:
    file.append("Notes", "The build takes twenty minuets.")
    file.path.write_text("## Notes\n\nThe build takes twenty minutes.\n")
    file.append("Notes", "Two.")
    assert file.path.read_text() == "## Notes\n\nThe build takes twenty minutes.\nTwo.\n"
    assert kinds(file) == [("agent", "append"), ("user", "edit"), ("agent", "append")]
    assert file.content(2) == b"## Notes\n\nThe build takes twenty minutes.\n"


@pytest.mark.parametrize("editor", EDITORS)
def test_who_saves_an_older_text_does_not_undo_what_the_agent_wrote(file: MemoryFile, editor: object) -> None:
    file.path.parent.mkdir()
    file.path.write_text(TEMPLATE)
    file.append("Notes", "what alice found out")
    assert callable(editor)
    editor(file.path, b"# Memory of alice\n\nwhat the user wants to say\n")
    assert file.read() == ("# Memory of alice\n\nwhat the user wants to say\n\n## Notes\n\nwhat alice found out\n")
    assert kinds(file)[-2:] == [("user", "edit"), ("skerry", "merge")]
    assert file.disputes() == []


def test_who_begins_a_file_while_the_agent_does_takes_nothing_from_it(file: MemoryFile) -> None:
    file.append("Notes", "what alice found out")
    file.path.write_text("what the user wants to say\n")
    assert file.read() == "what the user wants to say\n## Notes\n\nwhat alice found out\n"
    file.path.write_text("")
    assert "what alice found out" in file.read(), "nothing shows that it was seen"
    file.path.write_text("")
    assert file.read() == "", "said twice"


def test_what_a_person_takes_away_is_gone(file: MemoryFile) -> None:
    file.append("Notes", "the first of the notes")
    file.append("Notes", "the second of the notes")
    file.path.write_text("## Notes\n\nthe second of the notes\n")
    assert file.read() == "## Notes\n\nthe second of the notes\n"
    file.append("Notes", "the third of the notes")
    file.path.write_text("## Notes\n\nthe second of the notes\n")
    assert file.read() == "## Notes\n\nthe second of the notes\n", "the newest note alone, and nothing else, is deleted"
    file.path.unlink()
    assert file.read() == ""
    assert kinds(file)[-1] == ("user", "remove")


def test_lines_that_both_rewrote_are_both_kept_and_asked_about_once(file: MemoryFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("## Plan\n\nship it on Monday\n")
    file.replace("Plan", "ship it on Tuesday")
    file.path.write_text("## Plan\n\nship it on Friday\n")
    assert file.read() == f"## Plan\n\nship it on Friday\n{MARK}\nship it on Tuesday\n"
    (dispute,) = file.disputes()
    assert dispute.revision == 4
    assert (dispute.conflicts[0].ours, dispute.conflicts[0].theirs) == (("ship it on Tuesday",), ("ship it on Friday",))
    file.tell(dispute)
    assert file.disputes() == []


def test_what_comes_before_can_be_restored(file: MemoryFile) -> None:
    for number in range(120):
        file.append("Notes", f"note {number}")
    assert file.content(60).decode().endswith("note 59\n")
    assert file.restore(60, USER) == 121
    assert file.read().endswith("note 59\n")
    assert file.history()[-1].change.why == "back to revision 60"
    assert file.restore(60, USER) == 121, "it is that already"
    with pytest.raises(NotFound, match="alice has no revision 122"):
        file.restore(122, USER)


def test_agents_do_not_share(desk: MemoryDesk) -> None:
    alice, bob = desk.memory(), desk.memory("bob")
    alice.append("Notes", "Mine.", Change("agent", "append", id="c"))
    assert bob.append("Notes", "Mine too.", Change("agent", "append", id="c")) == 1
    assert "Mine." not in bob.read()
    assert len(bob.history()) == 1


def test_writers_at_the_same_time_all_get_in(desk: MemoryDesk) -> None:
    def write(name: str) -> None:
        memory = desk.memory()
        for number in range(10):
            memory.append("Notes", f"{name} says {number}")

    threads = [threading.Thread(target=write, args=(f"writer {name}",)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.memory().read().count("writer") == 40
    assert len(desk.memory().history()) == 40


@pytest.mark.parametrize("heading", ["", "  ", "##", "two\nlines", "esc\x1b", "x" * 201])
def test_a_heading_is_one_line_of_text(file: MemoryFile, heading: str) -> None:
    with pytest.raises(ActionRefused):
        file.append(heading, "x")
    assert file.read() == ""


def test_a_full_memory_says_what_to_do(file: MemoryFile) -> None:
    for _ in range(MAX_MEMORY_BYTES // MAX_NOTE_BYTES - 1):
        file.append("Notes", "x" * MAX_NOTE_BYTES)
    with pytest.raises(ActionRefused, match="condense old notes"):
        file.append("Notes", "y" * MAX_NOTE_BYTES)
    with pytest.raises(ActionRefused, match="131072 are allowed"):
        file.append("Notes", "y" * (MAX_NOTE_BYTES + 1))
    assert "y" not in file.read()
    file.replace("Notes", "all of it in one line")
    assert len(file.read()) < 50


def test_a_block_that_is_not_closed_is_refused(file: MemoryFile) -> None:
    with pytest.raises(ActionRefused, match="not closed"):
        file.append("Notes", "```\n# no heading")
    file.append("Notes", "```\n## Plan\n```")
    file.append("Plan", "a real one")
    assert file.read() == "## Notes\n\n```\n## Plan\n```\n\n## Plan\n\na real one\n"


def test_a_save_that_a_write_displaced_is_not_taken_for_deleted_by_the_next_one(desk: MemoryDesk) -> None:
    """The person saves, our file takes its place at once, the editor loads that and saves it with one more line."""
    path = desk.memory().path
    loaded: list[bytes] = []

    def meanwhile(step: str) -> None:
        if step == "intended" and not loaded:
            path.write_bytes(path.read_bytes() + b"what the user wrote first\n")
        if step == "swapped" and not loaded:
            loaded.append(path.read_bytes())

    desk.memory().append("Notes", "a note of alice")
    desk.memory(step=meanwhile).append("Notes", "ok")  # so short that nobody can tell who had it in the editor
    assert b"first" not in loaded[0]
    assert "what the user wrote first" in desk.memory().read()
    path.write_bytes(loaded[0] + b"what the user wrote next\n")
    lines = desk.memory().read().splitlines()
    assert sorted(lines) == sorted(
        ["## Notes", "", "a note of alice", "ok", "what the user wrote first", "what the user wrote next"]
    )


def test_what_is_deleted_from_a_save_that_a_write_displaced_is_gone(desk: MemoryDesk) -> None:
    path, saved = desk.memory().path, b"## Notes\n\na note of alice\nwhat the user wrote first\n"

    def meanwhile(step: str) -> None:
        if step == "intended" and b"first" not in path.read_bytes():
            path.write_bytes(saved)

    desk.memory().append("Notes", "a note of alice")
    desk.memory(step=meanwhile).append("Notes", "ok")
    path.write_bytes(b"## Notes\n\nwhat the user wrote first\nwhat the user wrote next\n")
    text = desk.memory().read()
    assert "a note of alice" not in text
    assert text.count("ok\n") == text.count("first\n") == text.count("next\n") == 1
