"""The real parts of the engine, chosen in one place."""

from __future__ import annotations

import resource

from app.config import Paths
from app.domain.ports import SandboxHost
from app.engine.supervisor import Engine, run_until_signalled
from app.runtimes.factory import make_runtime
from app.sandbox.image import ImageBuilder
from app.sandbox.libvirt_host import LibvirtHost
from app.sandbox.licence import Acceptances
from app.sandbox.packs import PackBuilder


def make_host(paths: Paths) -> SandboxHost:
    """Virtual machines of libvirt's embedded driver."""
    return LibvirtHost(
        machines=paths.machines,
        sockets=paths.machine_sockets,
        libvirt_root=paths.libvirt_root,
        images=ImageBuilder(paths.images, paths.recipes),
        packs=PackBuilder(paths.images, paths.packs, Acceptances(paths.licences_json)),
    )


def keep_no_core() -> None:
    """No file is made of this process's memory when it crashes: it holds keys. What it starts inherits that.

    One byte: too little for a file, and the one limit that the kernel also heeds when a program takes cores (core(5)).
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most != 0:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


async def run_engine(paths: Paths) -> None:
    """Run an engine on the real parts until it is told to stop."""
    keep_no_core()
    await run_until_signalled(Engine(paths, make_host=make_host, make_runtime=make_runtime))
