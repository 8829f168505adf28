"""Files as people and programs leave them: nothing of them is lost, and what cannot be used says so."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.domain.errors import ActionRefused
from app.store.memory import MemoryFile
from tests.store.memory_desk import MemoryDesk


@pytest.fixture
def file(tmp_path: Path) -> Iterator[MemoryFile]:
    desk = MemoryDesk(tmp_path)
    made = desk.memory()
    made.path.parent.mkdir()
    yield made
    desk.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"## Notes\r\n\r\nOne.\r\n", b"## Notes\r\n\r\nOne.\r\nTwo.\r\n"),
        (b"## Notes\n\nOne.", b"## Notes\n\nOne.\nTwo.\n"),
        (b"\xef\xbb\xbf## Notes\n\nOne.\n", b"\xef\xbb\xbf## Notes\n\nOne.\nTwo.\n"),
        (b"## Notes\n\nOne \xff\xfe.\n", b"## Notes\n\nOne \xff\xfe.\nTwo.\n"),
        (b"## Notes\n\nOne.\r\nmixed\n", b"## Notes\n\nOne.\r\nmixed\nTwo.\n"),
        (b"\n\n\n", b"## Notes\n\nTwo.\n"),
        (b"## Notes\n## Other\n", b"## Notes\n\nTwo.\n\n## Other\n"),
        (b"## Notes ##\n\nOne.\n\n\n\n## Other\n", b"## Notes ##\n\nOne.\nTwo.\n\n\n\n## Other\n"),
        (b"```\n## Notes\n", b"```\n## Notes\n\nTwo.\n"),
    ],
)
def test_bytes_that_nobody_changes_stay(file: MemoryFile, before: bytes, after: bytes) -> None:
    file.path.write_bytes(before)
    file.append("Notes", "Two.")
    assert file.path.read_bytes() == after
    assert (file.content(1), file.content(2)) == (before, after)


def test_half_read_bytes_are_marked_for_the_agent(file: MemoryFile) -> None:
    file.path.write_bytes(b"\xef\xbb\xbfa\xffb\r\n")
    assert file.read() == "a\ufffdb\n"


def _link(path: Path) -> None:
    path.with_name("elsewhere").write_text("secret")
    path.symlink_to("elsewhere")


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(17 * 2**20)


ODD: dict[str, Callable[[Path], object]] = {
    "a symbolic link": _link,
    "a folder": Path.mkdir,
    "no file": os.mkfifo,
    "more than 16777216": _large,
    "UTF-16": lambda path: path.write_bytes("## Notes\n".encode("utf-16")),
}


@pytest.mark.parametrize("words", ODD)
def test_what_is_no_memory_file_is_refused_and_left_alone(file: MemoryFile, words: str) -> None:
    file.append("Notes", "One.")
    file.path.unlink()
    ODD[words](file.path)
    before = file.path.lstat().st_ino
    for use in (file.read, file.history, lambda: file.append("Notes", "Two."), lambda: file.replace("Notes", "")):
        with pytest.raises(ActionRefused, match=words) as refused:
            use()
        assert "plain file" in refused.value.hint
    assert file.path.lstat().st_ino == before
    assert file.content(1) == b"## Notes\n\nOne.\n"


def test_a_folder_that_cannot_be_written(file: MemoryFile) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    file.path.parent.chmod(0o500)
    try:
        with pytest.raises(ActionRefused, match="cannot be written"):
            file.append("Notes", "One.")
    finally:
        file.path.parent.chmod(0o700)
    assert file.history() == []


def test_an_editor_that_goes_on_writing_a_replaced_file_is_heard(file: MemoryFile) -> None:
    """As ``cat >> memory.md`` does: it holds the old file open while the agent's note replaces it."""
    file.append("Notes", "what alice noted first")
    with file.path.open("ab", buffering=0) as editor:
        file.append("Notes", "what alice noted then")
        assert [path.name for path in file.path.parent.iterdir()] != ["memory.md"], "the old file is kept meanwhile"
        editor.write(b"what the user adds at last\n")
    assert file.read().splitlines()[2:] == [
        "what alice noted first",
        "what the user adds at last",
        "what alice noted then",
    ]
    assert [path.name for path in file.path.parent.iterdir()] == ["memory.md"]
    assert file.history()[-2].change.author == "user"


def test_a_file_that_is_half_written_is_waited_for(file: MemoryFile) -> None:
    file.append("Notes", "what alice noted first")
    file.read()
    opened, told = threading.Event(), threading.Event()

    def write() -> None:
        with file.path.open("r+b", buffering=0) as editor:
            editor.truncate()
            opened.set()
            told.wait(0.1)
            editor.write(b"## Notes\n\nwhat alice noted first\nand the user's line\n")

    thread = threading.Thread(target=write)
    thread.start()
    opened.wait()
    file.append("Notes", "what alice noted then")
    thread.join()
    assert file.read().splitlines()[2:] == ["what alice noted first", "and the user's line", "what alice noted then"]


def test_a_stray_draft_is_taken_away(file: MemoryFile) -> None:
    file.path.with_name(".memory.md.skerry").write_text("half a dra")
    assert file.read() == ""
    assert list(file.path.parent.iterdir()) == []
