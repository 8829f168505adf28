"""Workspaces whose root is hostile: its tar and find are scripts, its files change while they are read."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.errors import SandboxError
from app.sandbox.sandbox import LibvirtSandbox
from app.sandbox.workspace import MirrorLimits, Workspace
from tests.sandbox.conftest import Bench

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]

TAR = """#!/usr/bin/python3
import io, sys, tarfile
out = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.GNU_FORMAT)
def put(name, data=b"evil", kind=tarfile.REGTYPE, link="", mode=0o6777):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname, member.mode = len(data) if kind == b"0" else 0, kind, link, mode
    out.addfile(member, io.BytesIO(data))
"""


@pytest.fixture
async def hostile(bench: Bench) -> AsyncIterator[Bench]:
    await bench.sandbox.run("find /workspace -mindepth 1 -delete", timeout=60, user="root")
    yield bench
    await bench.sandbox.run("rm -f /usr/local/bin/tar /usr/local/bin/find", timeout=60, user="root")


async def fake(bench: Bench, name: str, script: str) -> None:
    await bench.sandbox.write_file(f"/usr/local/bin/{name}", script.encode(), mode=0o755, user="root")


def workspace(bench: Bench, tmp_path: Path, limits: MirrorLimits) -> Workspace:
    sandbox = bench.sandbox
    assert isinstance(sandbox, LibvirtSandbox)
    return Workspace(sandbox._jobs, sandbox._transfer, tmp_path / "manifests", limits)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


async def test_an_archive_of_other_things_than_asked_for(hostile: Bench, tmp_path: Path) -> None:
    mirror, outside = tmp_path / "mirror", tmp_path / "outside"
    mirror.mkdir()
    outside.mkdir()
    (mirror / "mine").write_text("the user's")
    await hostile.sandbox.run("echo good > good; mkdir sub; echo 1 > sub/file", timeout=60)
    lines = [
        f"put({str(outside / 'absolute')!r})", "put('../outside/up')", "put('./sub', kind=b'2', link='../../outside')",
        "put('./sub/file')", "put('./mine')", "put('./good', kind=b'1', link='./mine')", "put('./.git/config')",
        "put('./fifo', kind=b'6')", "put('./device', kind=b'3')", "put('./good', b'evil')", "put('./good', b'twice')",
    ]  # fmt: skip
    await fake(hostile, "tar", TAR + "\n".join([*lines, "out.close()"]))
    report = await hostile.sandbox.mirror_workspace(mirror)
    assert everything(mirror) == {"mine", "good", "sub", "sub/file"} and everything(outside) == set()
    assert (mirror / "mine").read_text() == "the user's" and (mirror / "good").read_text() == "evil"
    assert (mirror / "good").stat().st_mode & 0o7777 == 0o644
    reasons = {reason for _, reason in report.refused}
    assert reasons == {"not what was asked for"} and report.files == 2


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (TAR + "while True: put('./good', bytes(100000))", "more than is allowed"),
        ("#!/bin/sh\nexec cat /dev/urandom", "cannot be used"),
        ("#!/bin/sh\nexec cat /dev/zero", ""),
        ("#!/bin/sh\nexit 0", "ends too early"),
    ],
)
async def test_an_archive_without_an_end_or_a_beginning(
    hostile: Bench, tmp_path: Path, script: str, words: str
) -> None:
    await hostile.sandbox.run("echo good > good", timeout=60)
    await fake(hostile, "tar", script)
    if words:
        with pytest.raises(SandboxError, match=words):
            await hostile.sandbox.mirror_workspace(tmp_path / "mirror")
    else:
        report = await hostile.sandbox.mirror_workspace(tmp_path / "mirror")
        assert [name for name, _ in report.refused] == ["./good"]
    await hostile.sandbox.run("rm /usr/local/bin/tar", timeout=60, user="root")
    assert (await hostile.sandbox.mirror_workspace(tmp_path / "mirror")).files == 1, "and all is well again"


async def test_a_list_without_end(hostile: Bench, tmp_path: Path) -> None:
    await hostile.sandbox.run("for n in 1 2 3; do echo $n > f$n; done", timeout=60)
    (tmp_path / "mirror").mkdir()
    honest = workspace(hostile, tmp_path, MirrorLimits())
    assert honest.mirror(tmp_path / "mirror").files == 3
    line = r"printf 'f 2 1700000000.0000000000 644\0./x%d\0\0' $RANDOM"
    await fake(hostile, "find", f"#!/bin/bash\ntrap '' TERM PIPE\nwhile :; do {line}; done")
    few = workspace(hostile, tmp_path, MirrorLimits(files=5, listing_bytes=20_000, listing_seconds=20))
    report = few.mirror(tmp_path / "mirror")
    assert ("." in dict(report.refused)) and "too long" in dict(report.refused)["."]
    assert everything(tmp_path / "mirror") == {"f1", "f2", "f3"}, "what is not on it is not taken for vanished"


async def test_more_files_than_allowed(hostile: Bench, tmp_path: Path) -> None:
    await hostile.sandbox.run("mkdir -p deep/er; for n in 1 2 3 4; do echo > deep/er/$n; echo > $n; done", timeout=60)
    few = workspace(hostile, tmp_path, MirrorLimits(files=5))
    report = few.mirror(tmp_path / "mirror")
    assert everything(tmp_path / "mirror") == {"1", "2", "3", "4", "deep"}
    assert report.refused == (
        (".", "5 files are more than the 5 that may come out; those nearest the top were brought out"),
    )
    again = few.mirror(tmp_path / "mirror")
    assert (again.files, again.removed) == (0, 0)


async def test_limits_of_size(hostile: Bench, tmp_path: Path) -> None:
    await hostile.sandbox.run("for n in a b c; do head -c 1000 /dev/zero > $n; done; truncate -s 1T sparse", timeout=60)
    limits = MirrorLimits(file_bytes=5000, total_bytes=2000, mirror_bytes=2500)
    report = workspace(hostile, tmp_path, limits).mirror(tmp_path / "mirror")
    assert everything(tmp_path / "mirror") == {"a", "b"}
    assert {name: reason.split(" ")[0] for name, reason in report.refused} == {"./c": "the", "./sparse": "larger"}


async def test_what_the_user_changed_in_the_mirror_stays(hostile: Bench, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    await hostile.sandbox.run("echo 1 > edited; echo 1 > removed; mkdir sub; echo 1 > sub/file", timeout=60)
    await hostile.sandbox.mirror_workspace(mirror)
    for name in ("edited", "removed", "sub/file", "added"):
        (mirror / name).write_text("the user's")
    await hostile.sandbox.run("echo 2 > edited; rm -r removed sub; echo 2 > added; echo 2 > sub", timeout=60)
    report = await hostile.sandbox.mirror_workspace(mirror)
    assert {(mirror / name).read_text() for name in ("edited", "removed", "sub/file", "added")} == {"the user's"}
    assert {name for name, _ in report.refused} == {"./edited", "./added", "./sub"}
    (mirror / "edited").unlink()
    await hostile.sandbox.mirror_workspace(mirror)
    assert (mirror / "edited").read_text() == "2\n", "without the user's version the machine's comes out"


async def test_files_that_change_while_they_are_read(hostile: Bench, tmp_path: Path) -> None:
    churn = (
        "cd /workspace; while :; do for n in 1 2 3 4 5 6; do head -c $((RANDOM * 20)) /dev/zero > f$n; "
        "done; rm -f f2 f4; mkdir -p d; ln -sfn /etc d/l; rm -rf d; done"
    )
    process = await hostile.sandbox.open_process(churn)
    mirror = tmp_path / "mirror"
    try:
        for _ in range(2):
            try:
                await hostile.sandbox.mirror_workspace(mirror)
            except SandboxError as error:
                assert "cannot be used" in error.message
    finally:
        await process.terminate()
    await hostile.sandbox.mirror_workspace(mirror)
    inside = await hostile.sandbox.run("cat f1 f3 f5 f6 | sha256sum; ls", timeout=60)
    names = [name for name in inside.output.decode().split()[2:] if (mirror / name).is_file()]
    assert {"f1", "f3", "f5", "f6"} <= set(names)
    sizes = await hostile.sandbox.run("stat -c %s f1 f3 f5 f6", timeout=60)
    assert [os.path.getsize(mirror / name) for name in ("f1", "f3", "f5", "f6")] == [
        int(n) for n in sizes.output.split()
    ]


async def test_an_unchanged_tree_writes_nothing(hostile: Bench, tmp_path: Path) -> None:
    await hostile.sandbox.run("mkdir -p a/b; for n in $(seq 200); do echo $n > a/b/$n; done; ln -s b a/l", timeout=60)
    honest, mirror = workspace(hostile, tmp_path, MirrorLimits()), tmp_path / "mirror"
    assert honest.mirror(mirror).files == 200
    before = {path: path.lstat().st_ctime_ns for path in (*mirror.rglob("*"), *(tmp_path / "manifests").rglob("*"))}
    report = honest.mirror(mirror)
    assert (report.files, report.removed, report.refused) == (0, 0, ())
    assert {path: path.lstat().st_ctime_ns for path in before} == before


async def test_trees_without_a_bottom_and_special_bits(hostile: Bench, tmp_path: Path) -> None:
    deep = "mkdir -p $(printf 'd/%.0s' $(seq 1500)); echo top > top; chmod 7777 top; touch $(printf 'n%.0s' $(seq 255))"
    await hostile.sandbox.run(f"{deep}; mkdir sticky; chmod 7777 sticky", timeout=60)
    report = await hostile.sandbox.mirror_workspace(tmp_path / "mirror")
    assert report.files == 2 and len(report.refused) == 101
    assert report.refused[-1] == ("…", f"{1500 - 64 - 100} more were refused")
    for name, mode in (("top", 0o755), ("sticky", 0o755)):
        assert (tmp_path / "mirror" / name).stat().st_mode & 0o7777 == mode
