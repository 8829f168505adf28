from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from app.store.exchange import exchange, is_being_written, place, renameat2


def cannot(one: Path, other: Path, flags: int) -> None:
    """As a file system answers that has neither."""
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


@pytest.mark.parametrize("rename", [renameat2, cannot])
def test_two_files_are_swapped(tmp_path: Path, rename: object) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    assert callable(rename)
    with pytest.raises(FileNotFoundError):
        exchange(one, other, rename)
    other.write_text("2")
    exchange(one, other, rename)
    assert (one.read_text(), other.read_text()) == ("2", "1")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("rename", [renameat2, cannot])
def test_a_file_is_placed_where_nothing_is(tmp_path: Path, rename: object) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    assert callable(rename)
    place(one, other, rename)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    one.write_text("2")
    with pytest.raises(FileExistsError):
        place(one, other, rename)
    assert other.read_text() == "1"


def test_a_writer_is_noticed_and_nobody_dies_of_it(tmp_path: Path) -> None:
    """The kernel tells who holds a lease by a signal when somebody opens the file: by default one dies of it."""
    path = tmp_path / "file"
    path.write_text("x")
    descriptor = os.open(path, os.O_RDONLY)
    assert not is_being_written(descriptor)
    with path.open("ab"):
        assert is_being_written(descriptor)
    over = threading.Event()

    def open_and_close() -> None:
        for _ in range(3000):
            path.open("ab").close()
        over.set()

    writer = threading.Thread(target=open_and_close)
    writer.start()
    while not over.is_set():
        is_being_written(descriptor)
    writer.join()
    assert not is_being_written(descriptor)
    os.close(descriptor)
