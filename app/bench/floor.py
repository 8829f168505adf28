"""The floor: the same machines made by hand with QEMU, qemu-img and the OpenSSH client, no libvirt and no paramiko."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from app.bench.contest import unbroken
from app.bench.openssh import OpenSsh
from app.bench.processes import qemu_of
from app.bench.raw_qemu import Pattern, RawQemu
from app.domain.machines import SandboxRequest
from app.sandbox.control_port import ControlPort
from app.sandbox.image import Image
from app.sandbox.jobs import Job
from app.sandbox.launch import identity
from app.sandbox.machine import Machine
from app.sandbox.template import Template
from app.sandbox.threads import in_thread

_BOOT_SECONDS = 180.0
_TRANSFER = (
    'for disk in /sys/block/vd*; do [ "$(cat $disk/serial)" = transfer ] && break; done; disk=/dev/${disk##*/}; '
)


@dataclass(frozen=True, slots=True)
class RawGuest:
    """A machine made by hand."""

    name: str
    machine: Machine
    qemu: RawQemu
    ssh: OpenSsh

    async def run(self) -> None:
        """See ``Guest.run``."""
        await unbroken(in_thread(self.ssh.run, Job("true")))

    async def copy_in(self, folder: Path) -> None:
        """See ``Guest.copy_in``."""
        source = ["tar", "--create", f"--directory={folder}", "--file=-", "."]
        await unbroken(in_thread(self.ssh.pipe_in, source, Job("tar --extract --file=-")))

    async def copy_out(self, folder: Path) -> None:
        """See ``Guest.copy_out``."""
        sink = ["tar", "--extract", f"--directory={folder}", "--file=-"]
        await unbroken(in_thread(self.ssh.pipe_out, Job("tar --create --file=- ."), sink))

    async def clear(self) -> None:
        """See ``Guest.clear``."""
        await unbroken(in_thread(self.ssh.run, Job("rm -rf -- * && sync")))

    async def read_disk(self, mebibytes: int) -> None:
        """The guest reads the second disk, past its page cache."""
        await self._as_root(f"{_TRANSFER} dd if=$disk of=/dev/null bs=1M count={mebibytes} iflag=direct")

    async def write_disk(self, mebibytes: int) -> None:
        """The guest writes the second disk, past its page cache."""
        await self._as_root(f"{_TRANSFER} dd if=/dev/zero of=$disk bs=1M count={mebibytes} oflag=direct")

    def pid(self) -> int:
        """See ``Guest.pid``."""
        return qemu_of(self.machine.folder)

    async def end(self) -> None:
        """See ``Guest.end``."""
        await unbroken(in_thread(self._end))

    async def _as_root(self, command: str) -> None:
        await unbroken(in_thread(self.ssh.run, Job(f"{command} 2>/dev/null", user="root")))

    def _end(self) -> None:
        self.qemu.end()  # the master of the SSH connection ends with it
        self.machine.remove()


class Floor:
    """Machines as ``request`` wants them, below ``machines``; ``template`` tells what to clone."""

    def __init__(
        self, machines: Path, sockets: Path, image: Image, template: Callable[[], Template], request: SandboxRequest
    ) -> None:
        self._machines, self._sockets, self._image = machines, sockets, image
        self._template, self._request = template, request
        self._patterns: dict[bool, Pattern] = {}

    async def boot(self, name: str, *, cold: bool) -> RawGuest:
        """See ``Side.boot``."""
        return await unbroken(in_thread(self._boot, name, None if cold else self._template()))

    def learn(self, machine: Machine, *, cold: bool) -> None:
        """Machines are started like this one of ours, which runs."""
        self._patterns[cold] = Pattern.of(machine)

    def _boot(self, name: str, template: Template | None) -> RawGuest:
        machine = Machine(name, self._machines / name, self._sockets)
        machine.make(self._image, self._request.disk_gib, None if template is None else template.disk)
        machine.empty_transfer()
        qemu = RawQemu(self._patterns[template is None], machine, template)
        try:
            _personalise(machine, replace(self._request, name=name, hostname=name))
            return RawGuest(name, machine, qemu, OpenSsh(machine))
        except BaseException:
            qemu.end()
            raise


def _personalise(machine: Machine, request: SandboxRequest) -> None:
    with contextlib.closing(ControlPort(machine.control_socket)) as control:
        control.wait_answering(_BOOT_SECONDS)
        control.request("personalise", _BOOT_SECONDS, **identity(machine, request))
