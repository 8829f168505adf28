"""Where files go, and that they are private."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.config import Paths, make_private
from app.config.paths import MAX_RUNTIME_BYTES
from app.domain.errors import HostError


def test_xdg_variables_move_everything(tmp_path: Path) -> None:
    run = tmp_path / "r"
    run.mkdir()
    paths = Paths.from_environment(
        {
            "HOME": "/home/someone",
            "XDG_STATE_HOME": "/s",
            "XDG_DATA_HOME": "/d",
            "XDG_CONFIG_HOME": "/c",
            "XDG_RUNTIME_DIR": "/dev/shm",
        }
    )
    assert (paths.state, paths.data, paths.config) == (Path("/s/skerry"), Path("/d/skerry"), Path("/c/skerry"))
    assert (paths.runtime, paths.images) == (Path("/dev/shm/skerry"), Path("/d/skerry/images"))


def test_without_xdg_variables() -> None:
    paths = Paths.from_environment({"HOME": "/home/someone"})
    assert paths.journal_db == Path("/home/someone/.local/state/skerry/journal.db")
    assert paths.images == Path("/home/someone/.local/share/skerry/images")
    assert paths.settings_toml == Path("/home/someone/.config/skerry/settings.toml")
    assert paths.runtime.name == f"skerry-{os.getuid()}"


def test_relative_xdg_variables_are_ignored() -> None:
    paths = Paths.from_environment({"HOME": "/home/someone", "XDG_STATE_HOME": "here"})
    assert paths.state == Path("/home/someone/.local/state/skerry")


def test_one_variable_moves_all_but_shared_images(tmp_path: Path) -> None:
    paths = Paths.from_environment({"SKERRY_HOME": str(tmp_path), "SKERRY_IMAGES": "/var/lib/images"})
    assert {paths.state.parent, paths.data.parent, paths.config.parent} == {tmp_path}
    assert paths.images == Path("/var/lib/images")


def test_sockets_fit_however_long_the_home_is(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 100)
    paths = Paths.from_environment({"SKERRY_HOME": str(home)})
    assert len(os.fsencode(paths.runtime)) <= MAX_RUNTIME_BYTES
    assert paths.runtime == Paths.from_environment({"SKERRY_HOME": str(home)}).runtime
    assert paths.runtime != Paths.from_environment({"SKERRY_HOME": str(home) + "y"}).runtime
    assert len(os.fsencode(paths.door("team-123456/" + "a" * 40))) < 108


def test_doors_differ() -> None:
    paths = Paths.from_environment()
    assert paths.door("one/agent") != paths.door("two/agent")


def test_prepared_folders_are_private(paths: Paths) -> None:
    for folder in (paths.state, paths.config, paths.runtime, paths.logs, paths.machines, paths.doors):
        assert folder.stat().st_mode & 0o777 == 0o700
    paths.prepare()


def test_shared_images_keep_their_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setenv("SKERRY_IMAGES", str(tmp_path))
    Paths.from_environment().prepare()
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_folder_that_is_open_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert make_private(tmp_path).stat().st_mode & 0o777 == 0o700


def test_a_planted_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(HostError, match="not a folder of yours"):
        make_private(tmp_path / "link", links=False)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(HostError, match="cannot make the folder"):
        make_private(tmp_path / "state")


def test_what_comes_with_skerry_is_there() -> None:
    paths = Paths.from_environment()
    assert (paths.recipes / "base").is_dir()


def test_names_become_file_names() -> None:
    paths = Paths.from_environment()
    assert paths.machine("team/agent").parent == paths.machines
    assert paths.machine("..").parent == paths.machines
    assert paths.machine("..").name == "-"
    assert paths.temporal_db("1.9.1").name == "temporal-1.9.1.db"
