"""A whole benchmark in a home of its own, beside the user's engine; nothing of it is left, however it ends."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from app.bench.figures import Report
from app.bench.floor import Floor
from app.bench.openssh import require_openssh
from app.bench.ours import Ours, SwitchedTemplates
from app.bench.processes import end_processes
from app.bench.rounds import Plan, Rounds
from app.config import Paths
from app.domain.errors import SandboxError
from app.domain.machines import SandboxRequest
from app.domain.ports import Progress
from app.sandbox.image import ImageBuilder
from app.sandbox.libvirt_host import LibvirtHost
from app.sandbox.packs import PackBuilder
from app.sandbox.qemu import inspect_qemu
from app.sandbox.template import Template
from app.sandbox.threads import in_thread

_IMAGE, _MEMORY_MIB, _DISK_GIB = "base", 512, 4


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """A folder with a short path; afterwards no process has it in its command line, and it is gone."""
    home = Path(tempfile.mkdtemp(prefix="skerry-bench-", dir="/tmp"))  # made private by mkdtemp
    try:
        yield home
    finally:
        end_processes(home)
        shutil.rmtree(home, ignore_errors=True)


async def run_bench(plan: Plan, images: Path, home: Path, progress: Progress) -> Report:
    """Measure on this machine with the images below ``images``. Raises SkerryError when something is missing."""
    require_openssh()
    machine = describe_machine()
    paths = Paths.from_environment({**os.environ, "SKERRY_HOME": str(home), "SKERRY_IMAGES": str(images)})
    paths.prepare()
    builder = ImageBuilder(paths.images, paths.recipes)
    image = await in_thread(builder.ensure, _IMAGE, progress)
    request = SandboxRequest("", "", _IMAGE, (), 1, _MEMORY_MIB, _DISK_GIB, home / "no-door")
    templates = SwitchedTemplates(paths.images)
    async with _host(paths, builder, templates) as host:
        ours = Ours(host, templates, paths.machines, paths.machine_sockets, request)
        floor = Floor(home / "floor", paths.machine_sockets, image, lambda: _known(templates), request)
        rounds = Rounds(plan, ours, floor, home, progress)
        await rounds.run()
    return Report(machine, plan.rounds, rounds.measures)


@contextlib.asynccontextmanager
async def _host(paths: Paths, images: ImageBuilder, templates: SwitchedTemplates) -> AsyncIterator[LibvirtHost]:
    # That a machine boots cold is our own doing here.
    logging.getLogger("app.sandbox").addHandler(logging.NullHandler())
    host = LibvirtHost(
        machines=paths.machines,
        sockets=paths.machine_sockets,
        libvirt_root=paths.libvirt_root,
        images=images,
        packs=PackBuilder(paths.images, paths.packs),
        templates=templates,
    )
    await host.start()
    try:
        yield host
    finally:
        for name in await host.names():
            await host.destroy(name)
        await host.close()


def _known(templates: SwitchedTemplates) -> Template:
    if templates.latest is None:
        raise SandboxError("no template was used yet", operation="bench")
    return templates.latest


def describe_machine() -> dict[str, object]:
    """Processor, memory, QEMU, and how busy it was before."""
    qemu = inspect_qemu()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count() or 1,
        "memory_mib": int(_field("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "accelerator": qemu.accelerator,
        "qemu": qemu.version,
        "load_before": round(os.getloadavg()[0], 2),
    }


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text("utf-8", "replace").splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "0"
