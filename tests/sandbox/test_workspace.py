"""The workspace of a real machine and its mirror."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.sandbox.conftest import Bench

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]


@pytest.fixture
async def empty(bench: Bench) -> Bench:
    await bench.sandbox.run("find /workspace -mindepth 1 -delete", timeout=60, user="root")
    return bench


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


async def test_only_what_changed_comes_out(empty: Bench, tmp_path: Path) -> None:
    run, mirror = empty.sandbox.run, tmp_path / "mirror"
    await run(
        "mkdir -p a/b empty; echo 1 > a/b/one; echo 2 > 'two words'; ln -s b/one a/link; chmod +x a/b/one", timeout=60
    )
    report = await empty.sandbox.mirror_workspace(mirror)
    assert (report.files, report.bytes, report.removed, list(report.refused)) == (2, 4, 0, [])
    assert tree(mirror) == {"a/b/one": "1\n", "a/link": "-> b/one", "two words": "2\n"}
    assert os.access(mirror / "a/b/one", os.X_OK) and (mirror / "empty").is_dir()

    assert (await empty.sandbox.mirror_workspace(mirror)).files == 0
    (mirror / "mine").write_text("the user's own")
    await run("echo 3 > 'two words'; rm -r a", timeout=60)
    report = await empty.sandbox.mirror_workspace(mirror)
    assert (report.files, report.removed) == (1, 4)
    assert tree(mirror) == {"mine": "the user's own", "two words": "3\n"}


async def test_what_leads_out_stays_in_the_machine(empty: Bench, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    hostile = (
        "ln -s /etc/passwd absolute; ln -s ../precious up; mkfifo fifo; mkdir -p .git/hooks; echo x > .git/hooks/h; "
        "ln -s . dot; ln -s dot/../../precious sly; touch $'new\\nline' $'esc\\x1b[2J' $'\\xff'; echo ok > good; "
        "sudo mknod device c 1 3; truncate -s 100G huge"
    )
    await empty.sandbox.run(hostile, timeout=60)
    report = await empty.sandbox.mirror_workspace(tmp_path / "mirror")
    assert tree(tmp_path / "mirror") == {"good": "ok\n", "dot": "-> ."}
    refused = {name for name, _ in report.refused}
    assert refused == {
        "./absolute", "./up", "./fifo", "./sly", "./device", "./huge", "./new\\x0aline", "./esc\\x1b[2J", "./\\xff",
    }  # fmt: skip
    assert (tmp_path / "precious").read_text() == "mine"


async def test_what_messages_brought_stays_in_the_machine(empty: Bench, tmp_path: Path) -> None:
    await empty.sandbox.write_files("/workspace/.inbox/m-1", {"table.txt": b"1 2\n"})
    await empty.sandbox.run(
        "mkdir -p own/.inbox; cp .inbox/m-1/table.txt own/.inbox/; cp -r .inbox/m-1 own", timeout=60
    )
    report = await empty.sandbox.mirror_workspace(tmp_path / "mirror")
    assert (report.files, list(report.refused)) == (2, [])
    assert tree(tmp_path / "mirror") == {"own/.inbox/table.txt": "1 2\n", "own/m-1/table.txt": "1 2\n"}


async def test_a_folder_goes_in_and_newer_files_stay(empty: Bench, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "script.sh").write_text("#!/bin/sh\necho hi\n")
    (source / "sub" / "script.sh").chmod(0o755)
    (source / "old").write_text("from the host")
    os.utime(source / "old", (time.time() - 5000,) * 2)
    (source / "link").symlink_to("sub")
    await empty.sandbox.run("echo newer > old", timeout=60)
    assert await empty.sandbox.push_workspace(source) == 3
    result = await empty.sandbox.run("./sub/script.sh; cat old; readlink link; stat -c %U sub/script.sh", timeout=60)
    assert result.output == b"hi\nnewer\nsub\nagent\n"
    report = await empty.sandbox.mirror_workspace(source)
    assert report.files == 1, "only what is newer in the machine"
    await empty.sandbox.run("rm sub/script.sh", timeout=60)
    assert (await empty.sandbox.mirror_workspace(source)).removed == 1
