from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.sandbox.tree import Refused, Tree, safe_parts, safe_target


@pytest.mark.parametrize(
    "name",
    [
        b"/etc/passwd",
        b"../x",
        b"a/../../x",
        b"a/..",
        b"",
        b".",
        b"./.",
        b"a\nb",
        b"a\x1b[31m",
        b"a\x00b",
        "a\u202egpj.exe".encode(),
        b"\xff\xfe",
        b".git/hooks/pre-commit",
        b"sub/.GIT/config",
        b"sub/.git",
        b".git /hooks",
        b"GIT~1/config",
        b".git./config",
        "\u200b.git".encode(),
        b"x" * 256,
        b"/".join([b"d"] * 65),
        b"a/" * 2100,
    ],
)
def test_hostile_names_are_refused(name: bytes) -> None:
    with pytest.raises(Refused):
        safe_parts(name)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (b"./a/b.py", ("a", "b.py")),
        (b"a//b", ("a", "b")),
        ("ü/☃.txt".encode(), ("ü", "☃.txt")),
        (b"..hidden", ("..hidden",)),
        (b".gitignore", (".gitignore",)),
        (b"-rf", ("-rf",)),
    ],
)
def test_honest_names_pass(name: bytes, parts: tuple[str, ...]) -> None:
    assert safe_parts(name) == parts


@pytest.mark.parametrize(
    "target", [b"/etc/passwd", b"..", b"../x", b"x/../y", b"a/../../..", b"\xff", b"../.git/config"]
)
def test_links_that_could_lead_out_are_refused(target: bytes) -> None:
    with pytest.raises(Refused):
        safe_target(("link",), target)


def test_links_inside_pass() -> None:
    assert safe_target(("a", "link"), b"../b/c") == "../b/c"
    assert safe_target(("a", "link"), b"./b") == "b"
    with pytest.raises(Refused):
        safe_target(("a", "link"), b"../../b")


def test_a_file_is_written_with_its_time_and_its_executable_bit(tmp_path: Path) -> None:
    Tree(tmp_path / "m").write(("a", "b.sh"), [b"one", b"two"], True, 1_700_000_000_123_456_789)
    path = tmp_path / "m" / "a" / "b.sh"
    assert path.read_bytes() == b"onetwo"
    assert path.stat().st_mode & 0o777 == 0o755 and path.stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert os.listdir(tmp_path / "m" / "a") == ["b.sh"]


def test_a_link_in_the_way_is_replaced_and_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    root = tmp_path / "m"
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "precious")
    tree = Tree(root)
    tree.write(("folder", "precious"), [b"theirs"], False, 0)
    tree.write(("file",), [b"theirs"], False, 0)
    assert (outside / "precious").read_text() == "mine"
    assert (root / "folder" / "precious").read_text() == "theirs" and not (root / "folder").is_symlink()
    assert (root / "file").read_text() == "theirs" and not (root / "file").is_symlink()


def test_removing_does_not_follow_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    root = tmp_path / "m"
    root.mkdir()
    (root / "folder").symlink_to(outside)
    assert not Tree(root).remove(("folder", "precious"))
    assert (outside / "precious").exists()
    assert Tree(root).remove(("folder",)) and outside.exists()


def test_a_folder_with_files_of_the_user_is_not_swept_away(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").write_text("mine")
    with pytest.raises(Refused):
        Tree(tmp_path).write(("x",), [b"theirs"], False, 0)
    assert (tmp_path / "x" / "mine").read_text() == "mine" and os.listdir(tmp_path) == ["x"]


def test_a_draft_is_gone_when_the_stream_breaks(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Tree(tmp_path).write(("x",), pieces(), False, 0)
    assert os.listdir(tmp_path) == []


def mine(parts: tuple[str, ...], found: os.stat_result) -> bool:
    """Nothing here is Skerry's: all of it is the user's."""
    return False


def test_what_is_the_users_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    tree = Tree(tmp_path, mine)
    for parts in (("file",), ("link",), ("file", "below"), ("link", "below"), ("folder", "file"), ("folder",)):
        with pytest.raises(Refused):
            tree.write(parts, [b"theirs"], False, 0)
        with pytest.raises(Refused):
            tree.link(parts, "elsewhere")
    with pytest.raises(Refused):
        tree.folder(("file",))
    assert not tree.remove(("file",)) and not tree.remove(("folder", "file")) and not tree.remove(("link",))
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "file").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"], "and no draft is left"
    tree.write(("folder", "new"), [b"theirs"], False, 0)


def test_a_folder_swapped_for_a_link_between_two_files(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "m"
    outside.mkdir()

    def swapped() -> Iterator[bytes]:
        yield b"half"
        (root / "a").rename(root / "b")
        (root / "a").symlink_to(outside)
        yield b"whole"

    tree = Tree(root)
    tree.write(("a", "x"), [b"1"], False, 0)
    tree.write(("a", "y"), swapped(), False, 0)
    tree.write(("a", "z"), [b"2"], False, 0)
    assert os.listdir(outside) == [] and (root / "b" / "y").read_bytes() == b"halfwhole"


def test_special_bits_never_come_out(tmp_path: Path) -> None:
    Tree(tmp_path).write(("x",), [b""], True, 0)
    assert (tmp_path / "x").stat().st_mode & 0o7777 == 0o755
