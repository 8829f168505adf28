"""What sandbox tests share: one host for the whole run, as a process can have one only, and one machine, booted once.

Images are those of the user (SKERRY_TEST_IMAGES, or where `./skerry` builds them); missing ones are built.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from app.config import Paths
from app.domain.machines import Notice, SandboxRequest
from app.domain.ports import Sandbox
from app.sandbox.image import ImageBuilder
from app.sandbox.libvirt_host import LibvirtHost
from app.sandbox.packs import PackBuilder

RECIPES = Path(__file__).parents[2] / "vm_images"


def images_dir() -> Path:
    own = os.environ.get("SKERRY_TEST_IMAGES")
    return Path(own) if own else Paths.from_environment().images


def make_host(root: Path, *, quiesce_seconds: float = 30.0, templates: Path | None = None) -> LibvirtHost:
    return LibvirtHost(
        machines=root / "m",
        sockets=root / "s",
        libvirt_root=root / "v",
        images=ImageBuilder(images_dir(), RECIPES),
        packs=PackBuilder(images_dir(), RECIPES / "packs"),
        quiesce_seconds=quiesce_seconds,
        templates=templates,
    )


def request_for(root: Path, name: str, *, packs: tuple[str, ...] = ()) -> SandboxRequest:
    return SandboxRequest(name, f"{name}-host", "base", packs, 1, 512, 4, root / f"{name}.door")


@dataclass(frozen=True)
class Bench:
    """A started host, the folder it lives in, and a machine that is up."""

    root: Path
    host: LibvirtHost
    sandbox: Sandbox


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """Unix sockets have short paths."""
    folder = Path(tempfile.mkdtemp(prefix="skerry-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def bench(short_folder: Path) -> Iterator[Bench]:
    host = make_host(short_folder, templates=short_folder / "t")

    async def up() -> Sandbox:
        await host.start()
        return await host.ensure(request_for(short_folder, "bench"), lambda _: None)

    async def down() -> None:
        for name in await host.names():
            await host.destroy(name)
        await host.close()

    try:
        yield Bench(short_folder, host, asyncio.run(up()))
    finally:
        asyncio.run(down())


@dataclass(frozen=True)
class Pair:
    """Two machines side by side with low limits, and what each told of them."""

    bench: Bench
    one: Sandbox
    two: Sandbox
    notices: dict[str, list[Notice]]
    secret: str = field(default_factory=lambda: secrets.token_hex(8))

    def door(self, name: str) -> Path:
        return self.bench.root / f"{name}.door"


@pytest.fixture(scope="session")
def pair(bench: Bench) -> Iterator[Pair]:
    notices: dict[str, list[Notice]] = {"one": [], "two": []}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="notices", daemon=True)
    thread.start()

    def ensure(name: str) -> concurrent.futures.Future[Sandbox]:
        request = replace(request_for(bench.root, name), processes=200, command_seconds=6.0)
        return asyncio.run_coroutine_threadsafe(bench.host.ensure(request, lambda _: None, notices[name].append), loop)

    one, two = [future.result(240) for future in [ensure("one"), ensure("two")]]
    yield Pair(bench, one, two, notices)
    for name in notices:
        asyncio.run(bench.host.destroy(name))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
