"""Our side: a LibvirtHost, used as the engine uses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from app.bench.contest import unbroken
from app.bench.processes import qemu_of
from app.domain.errors import SandboxError
from app.domain.machines import SandboxRequest
from app.domain.ports import Progress, Sandbox
from app.sandbox.libvirt_host import LibvirtHost
from app.sandbox.machine import Machine
from app.sandbox.template import Template, TemplateStore

_COMMAND_SECONDS = 60.0


class SwitchedTemplates(TemplateStore):
    """The user's templates, refused while ``off``: then machines boot cold. ``latest`` is the one used last."""

    off = False
    latest: Template | None = None

    def ensure(self, key: str, memory_mib: int, build: Callable[[Path], None], progress: Progress) -> Template:
        """See ``TemplateStore.ensure``. Raises SandboxError while off."""
        if self.off:
            raise SandboxError("templates are switched off", operation="restore the template")
        self.latest = super().ensure(key, memory_mib, build, progress)
        return self.latest


@dataclass(frozen=True, slots=True)
class OurGuest:
    """A machine of the host."""

    name: str
    host: LibvirtHost
    sandbox: Sandbox
    machine: Machine

    async def run(self) -> None:
        """See ``Guest.run``."""
        await self._command("true")

    async def copy_in(self, folder: Path) -> None:
        """See ``Guest.copy_in``."""
        await self.sandbox.push_workspace(folder)

    async def copy_out(self, folder: Path) -> None:
        """See ``Guest.copy_out``."""
        report = await self.sandbox.mirror_workspace(folder)
        if report.refused:
            raise SandboxError(f"the mirror refused {report.refused[0]}", operation="bench")

    async def clear(self) -> None:
        """See ``Guest.clear``."""
        await self._command("rm -rf -- * && sync")

    def pid(self) -> int:
        """See ``Guest.pid``."""
        return qemu_of(self.machine.folder)

    async def end(self) -> None:
        """See ``Guest.end``."""
        await unbroken(self.host.destroy(self.name))

    async def _command(self, command: str) -> None:
        result = await self.sandbox.run(command, timeout=_COMMAND_SECONDS)
        if result.exit_status != 0:
            words = result.output.decode(errors="replace")
            raise SandboxError(f"{command!r} ended with {result.exit_status}: {words}", operation="bench")


class Ours:
    """Machines of ``host``, as ``request`` wants them; its templates are ``templates``, its folders the next two."""

    def __init__(
        self, host: LibvirtHost, templates: SwitchedTemplates, machines: Path, sockets: Path, request: SandboxRequest
    ) -> None:
        self._host, self._templates, self._request = host, templates, request
        self._machines, self._sockets = machines, sockets

    async def boot(self, name: str, *, cold: bool) -> OurGuest:
        """See ``Side.boot``. Raises SandboxError when the machine came to be in another way than was asked for."""
        self._templates.off = cold
        request = replace(self._request, name=name, hostname=name)
        sandbox = await unbroken(self._host.ensure(request, lambda _: None))
        if sandbox.note.startswith("cold boot") != cold:
            raise SandboxError(f"{name} was to be {'booted' if cold else 'cloned'}: {sandbox.note}", operation="bench")
        return OurGuest(name, self._host, sandbox, Machine(name, self._machines / name, self._sockets))
