"""The real parts of the engine, chosen in one place."""

from __future__ import annotations

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


async def run_engine(paths: Paths) -> None:
    """Run an engine on the real parts until it is told to stop."""
    await run_until_signalled(Engine(paths, make_host=make_host, make_runtime=make_runtime))
