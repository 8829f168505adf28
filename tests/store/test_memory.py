from __future__ import annotations

from pathlib import Path

import pytest
from sqlite_utils import Database

from app.domain.errors import ActionRefused
from app.store.database import open_database
from app.store.memory import MemoryFile


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(tmp_path / "j.db")


def memory(database: Database, path: Path, agent: str = "alice") -> MemoryFile:
    return MemoryFile(path, database, fleet="demo", agent=agent)


def test_notes_go_under_their_heading(tmp_path: Path, database: Database) -> None:
    file = memory(database, tmp_path / "a" / "memory.md")
    assert file.read() == ""
    assert file.append("Decisions", "Use tabs.") == 1
    assert file.append("Open ends", "Docs.") == 2
    assert file.append("Decisions", "Use semver.") == 3
    assert file.read() == "## Decisions\n\nUse tabs.\nUse semver.\n\n## Open ends\n\nDocs.\n"
    assert file.replace("## Open ends", "None.") == 4
    assert file.read() == "## Decisions\n\nUse tabs.\nUse semver.\n\n## Open ends\n\nNone.\n"
    file.replace("Decisions", "")
    assert file.read() == "## Open ends\n\nNone.\n"


def test_search_finds_lines_with_every_word(tmp_path: Path, database: Database) -> None:
    file = memory(database, tmp_path / "memory.md")
    file.append("Decisions", "Use Tabs for code.\nUse spaces for prose.")
    assert file.search("tabs use") == [("Decisions", "Use Tabs for code.")]
    assert file.search("missing") == []


def test_a_persons_edit_is_kept_as_a_revision_of_its_own(tmp_path: Path, database: Database) -> None:
    path = tmp_path / "memory.md"
    file = memory(database, path)
    file.append("Notes", "One.")
    path.write_text("## Notes\n\nOne, and a half.\n")
    file.append("Notes", "Two.")
    assert path.read_text() == "## Notes\n\nOne, and a half.\nTwo.\n"
    rows = database.conn.execute("SELECT author, content FROM memory_revisions ORDER BY revision").fetchall()
    assert [author for author, _ in rows] == ["agent", "user", "agent"]
    assert rows[1][1] == "## Notes\n\nOne, and a half.\n"


def test_agents_do_not_share(tmp_path: Path, database: Database) -> None:
    alice, bob = memory(database, tmp_path / "a.md"), memory(database, tmp_path / "b.md", "bob")
    alice.append("Notes", "Mine.")
    assert bob.append("Notes", "Mine too.") == 1
    assert "Mine." not in bob.read()


@pytest.mark.parametrize("heading", ["", "  ", "##", "two\nlines", "esc\x1b"])
def test_a_heading_is_one_line_of_text(tmp_path: Path, database: Database, heading: str) -> None:
    file = memory(database, tmp_path / "memory.md")
    with pytest.raises(ActionRefused):
        file.append(heading, "x")
    assert file.read() == ""


def test_a_full_memory_says_what_to_do(tmp_path: Path, database: Database) -> None:
    file = memory(database, tmp_path / "memory.md")
    file.append("Notes", "x" * 1_000_000)
    with pytest.raises(ActionRefused, match="condense old notes"):
        file.append("Notes", "y" * 100_000)
    assert "y" not in file.read()
