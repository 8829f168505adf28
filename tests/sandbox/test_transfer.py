"""Large data over the transfer disk of a real machine, and the host's side of it alone."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from app.domain.errors import ConfigError, SandboxError
from app.sandbox.sandbox import LibvirtSandbox
from app.sandbox.transfer import Transfer, TransferDisk
from tests.sandbox.conftest import Bench

MEGABYTE = 2**20


@pytest.fixture
def disk(tmp_path: Path) -> TransferDisk:
    path = tmp_path / "transfer.img"
    with path.open("wb") as file:
        file.truncate(16 * MEGABYTE)
    return TransferDisk(path, 16 * MEGABYTE)


def test_the_disk_is_empty_before_and_after_and_the_same_file(disk: TransferDisk, tmp_path: Path) -> None:
    path = tmp_path / "transfer.img"
    inode = path.stat().st_ino
    with path.open("r+b") as file:
        file.write(b"left by a crash")
    with disk.claimed() as descriptor:
        assert os.pread(descriptor, 100, 0) == bytes(100)
        os.pwrite(descriptor, os.urandom(MEGABYTE), 0)
        os.pwrite(descriptor, b"behind the end", 20 * MEGABYTE)
    assert (path.stat().st_ino, path.stat().st_blocks) == (inode, 0)


def test_one_transfer_at_a_time(disk: TransferDisk) -> None:
    order: list[str] = []

    def second() -> None:
        with disk.claimed():
            order.append("second")

    thread = threading.Thread(target=second)
    with disk.claimed():
        thread.start()
        thread.join(0.2)
        order.append("first")
        with pytest.raises(SandboxError, match="under way"), disk.claimed(0.1):
            pass
    thread.join()
    assert order == ["first", "second"]


def test_a_link_in_its_place_is_not_followed(disk: TransferDisk, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "transfer.img").unlink()
    (tmp_path / "transfer.img").symlink_to("precious")
    with pytest.raises(OSError), disk.claimed():
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def insides(bench: Bench) -> LibvirtSandbox:
    assert isinstance(bench.sandbox, LibvirtSandbox)
    return bench.sandbox


@pytest.mark.vm
@pytest.mark.timeout(300)
async def test_bytes_arrive_whole_whichever_way_they_go(bench: Bench, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    image = bench.root / "m" / "bench" / "transfer.img"
    for size in (0, 1, 3 * MEGABYTE, 5 * MEGABYTE + 12345, 5 * MEGABYTE + 12346):
        source.write_bytes(os.urandom(size))
        await bench.sandbox.send_file(source, "/tmp/there/it is")
        await bench.sandbox.receive_file("/tmp/there/it is", target, limit=size)
        assert target.read_bytes() == source.read_bytes()
        assert image.stat().st_blocks == 0
    owner = await bench.sandbox.run("stat -c %U '/tmp/there/it is'; ls /tmp/there | wc -l", timeout=60)
    assert owner.output.split() == [b"agent", b"1"]


@pytest.mark.vm
@pytest.mark.timeout(300)
async def test_what_does_not_fit_and_what_does_not_work(bench: Bench, tmp_path: Path) -> None:
    jobs = insides(bench)._jobs
    disk = TransferDisk(bench.root / "m" / "bench" / "transfer.img")
    over_disk = Transfer(jobs, disk, cross_over=0, seconds=20)
    with pytest.raises(ConfigError, match="at one time"):
        over_disk.send("true", 2**40, lambda file: None)
    for transfer in (over_disk, Transfer(jobs)):
        with pytest.raises(SandboxError, match="no such luck"):
            transfer.send("cat > /dev/null; echo no such luck >&2; exit 3", 1, lambda file: file.write(b"x"))


@pytest.mark.vm
@pytest.mark.timeout(300)
async def test_a_machine_that_gives_and_takes_without_end(bench: Bench) -> None:
    jobs = insides(bench)._jobs
    disk = TransferDisk(bench.root / "m" / "bench" / "transfer.img")
    for transfer in (Transfer(jobs, disk, cross_over=0, seconds=2), Transfer(jobs, seconds=2)):
        began = time.monotonic()
        with pytest.raises(SandboxError):
            transfer.send("sleep 1000", 1, lambda file: file.write(bytes(8 * MEGABYTE)))
        with pytest.raises(SandboxError), transfer.receive("sleep 1000", 1) as read:
            while read(1024):
                pass
            raise SandboxError("the channel was closed")
        assert time.monotonic() - began < 40
    with Transfer(jobs).receive("cat /dev/zero", 1) as read:
        assert read(10)
    left = await bench.sandbox.run("pgrep -x 'cat|sleep'", timeout=60)
    assert left.output == b"", "nothing of it runs on"


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_how_fast_a_hundred_megabytes_move(bench: Bench, tmp_path: Path) -> None:
    source, mirror = tmp_path / "source", tmp_path / "mirror"
    source.mkdir()
    for number in range(25):
        (source / str(number)).write_bytes(os.urandom(4 * MEGABYTE))
    await bench.sandbox.run("find /workspace -mindepth 1 -delete", timeout=60, user="root")
    began = time.monotonic()
    await bench.sandbox.push_workspace(source)
    pushed = time.monotonic()
    report = await bench.sandbox.mirror_workspace(mirror)
    mirrored = time.monotonic()
    await bench.sandbox.mirror_workspace(mirror)
    unchanged = time.monotonic()
    megabytes = report.bytes / 1e6
    print(f"in {megabytes / (pushed - began):.0f} MB/s, out {megabytes / (mirrored - pushed):.0f} MB/s, ", end="")
    print(f"unchanged {unchanged - mirrored:.2f} s")
    assert report.bytes == 100 * MEGABYTE and mirrored - began < 60
    await bench.sandbox.run("find /workspace -mindepth 1 -delete", timeout=60, user="root")
