"""Machines cloned from a template: quick, and each its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.domain.ports import Sandbox
from app.sandbox.template import Template
from tests.sandbox.conftest import Bench, request_for

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]
_FACTS = (
    "hostname; cat /etc/machine-id; date +%s.%N; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' '; "
    "sudo sha256sum /run/skerry/hostkey | cut -c -64; df --output=size -BM / | tail -1 | tr -d 'M '"
)


@dataclass(frozen=True)
class Facts:
    """What a clone says of itself; ``late`` is its clock against ours, in seconds."""

    hostname: str
    machine_id: str
    late: float
    random: str
    host_key: str
    disk_mib: int


def ensured(bench: Bench, name: str) -> asyncio.Future[Sandbox]:
    return asyncio.ensure_future(bench.host.ensure(request_for(bench.root, name), lambda _: None))


async def facts(sandbox: Sandbox) -> Facts:
    before = time.time()
    words = (await sandbox.run(_FACTS, timeout=60)).output.decode().split()
    clock = float(words[2])
    late = min(0.0, clock - before) or max(0.0, clock - time.time())
    return Facts(words[0], words[1], late, words[3], words[4], int(words[5]))


def the_template(bench: Bench) -> Template:
    found = [Template(folder) for folder in (bench.root / "t").glob("template-*")]
    (newest,) = [template for template in found if not template.set_aside]
    return newest


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture
async def cleared(bench: Bench) -> AsyncIterator[None]:
    others = set(await bench.host.names())
    yield
    for name in set(await bench.host.names()) - others:
        await bench.host.destroy(name)


@pytest.mark.usefixtures("cleared")
async def test_clones_made_at_once_share_nothing_that_makes_a_machine_itself(bench: Bench) -> None:
    template = the_template(bench)
    before = digest(template.ram), digest(template.disk)
    sandboxes = await asyncio.gather(*[ensured(bench, f"clone{n}") for n in range(3)])
    assert {sandbox.note for sandbox in sandboxes} == {"restored from the template"}
    found = await asyncio.gather(*[facts(sandbox) for sandbox in sandboxes])
    assert [fact.hostname for fact in found] == ["clone0-host", "clone1-host", "clone2-host"]
    for name in ("machine_id", "random", "host_key"):
        assert len({getattr(fact, name) for fact in found}) == 3, name
    assert all(abs(fact.late) < 1.5 for fact in found)
    assert all(fact.disk_mib > 3500 for fact in found)
    assert (digest(template.ram), digest(template.disk)) == before
    assert template.ram.stat().st_mode & 0o777 == 0o600 and template.disk.stat().st_mode & 0o777 == 0o444


@pytest.mark.usefixtures("cleared")
async def test_a_clone_is_adopted_and_starts_again_on_its_own_disk(bench: Bench) -> None:
    sandbox = await ensured(bench, "lasting")
    await sandbox.run("echo kept > kept", timeout=60)
    assert (await ensured(bench, "lasting")).note == "adopted"
    await bench.host.stop("lasting")
    sandbox = await ensured(bench, "lasting")
    assert sandbox.note == "started on its own disk"
    assert (await sandbox.run("cat kept; hostname", timeout=60)).output == b"kept\nlasting-host\n"


@pytest.mark.usefixtures("cleared")
async def test_a_template_written_to_is_put_aside_and_made_again(bench: Bench) -> None:
    """What stands on its disk goes on."""
    template, told = the_template(bench), list[str]()
    os.utime(template.ram)
    sandbox = await bench.host.ensure(request_for(bench.root, "heir"), told.append)
    assert sandbox.note == "restored from the template"
    assert any("damaged" in words for words in told) and any("making the template" in words for words in told)
    assert template.set_aside and the_template(bench) != template
    assert (await bench.sandbox.run("sudo sync; echo fine", timeout=60)).output == b"fine\n"


@pytest.mark.usefixtures("cleared")
async def test_a_template_that_fails_twice_is_made_again(bench: Bench) -> None:
    """QEMU sees what we do not."""
    template = the_template(bench)
    state = template.state.read_bytes()
    template.state.chmod(0o600)
    template.state.write_bytes(state[:50_000])
    manifest = template.folder / "manifest.json"
    record = json.loads(manifest.read_text())
    manifest.chmod(0o600)
    manifest.write_text(json.dumps({**record, "state": digest(template.state)}))
    for number in range(2):
        assert not template.set_aside
        sandbox = await ensured(bench, f"unlucky{number}")
        assert sandbox.note.startswith("cold boot: ")
        assert (await sandbox.run("hostname", timeout=60)).output == f"unlucky{number}-host\n".encode()
    assert template.set_aside
    assert (await ensured(bench, "lucky")).note == "restored from the template"
