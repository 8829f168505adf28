"""Virtual machines on this host, as ``app.domain.ports.SandboxHost`` promises them."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
import uuid
from pathlib import Path

from app.domain.errors import HostError, SandboxError
from app.domain.ports import Progress, Sandbox, SandboxRequest
from app.sandbox.channel import DOOR_PORT, Channel
from app.sandbox.control_port import ControlPort
from app.sandbox.domain_xml import DomainSpec, PackDisk, domain_xml
from app.sandbox.hypervisor import Hypervisor
from app.sandbox.image import ImageBuilder
from app.sandbox.machine import Machine
from app.sandbox.packs import PackBuilder
from app.sandbox.qemu import inspect_qemu
from app.sandbox.readiness import Requirement, meet
from app.sandbox.sandbox import LibvirtSandbox
from app.sandbox.strays import end_stray, note_process
from app.sandbox.threads import in_thread, post

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SOCKET_PATH_LIMIT = 107
_BOOT_SECONDS = 180.0
_ANSWER_SECONDS = 20.0
_POWEROFF_SECONDS = 20.0


class LibvirtHost:
    """``machines`` keeps disks and keys, ``sockets`` the channels, ``libvirt_root`` what libvirt knows of running
    machines; the last two need short paths. All are made if need be, for us alone (0700).
    """

    def __init__(
        self,
        *,
        machines: Path,
        sockets: Path,
        libvirt_root: Path,
        images: ImageBuilder,
        packs: PackBuilder,
        quiesce_seconds: float = 600.0,
    ) -> None:
        self._machines, self._sockets = machines, sockets
        self._images, self._packs = images, packs
        self._hypervisor = Hypervisor(libvirt_root)
        self._quiesce_seconds = quiesce_seconds
        self._locks: dict[str, asyncio.Lock] = {}
        self._open: dict[str, LibvirtSandbox] = {}

    async def start(self) -> None:
        """See ``SandboxHost.start``."""
        await in_thread(self._start)

    async def ensure(self, request: SandboxRequest, progress: Progress) -> Sandbox:
        """See ``SandboxHost.ensure``. ``progress`` is called on the event loop."""
        loop = asyncio.get_running_loop()
        async with self._lock(request.name):
            return await in_thread(self._ensure, request, lambda words: post(loop, progress, words))

    async def names(self) -> list[str]:
        """See ``SandboxHost.names``."""
        return await in_thread(self._hypervisor.names)

    async def stop(self, name: str) -> None:
        """See ``SandboxHost.stop``."""
        async with self._lock(name):
            await in_thread(self._stop, name)

    async def destroy(self, name: str) -> None:
        """See ``SandboxHost.destroy``."""
        async with self._lock(name):
            await in_thread(self._destroy, name)

    async def close(self) -> None:
        """See ``SandboxHost.close``."""
        await in_thread(self._close)

    def _start(self) -> None:
        longest = len(str(self._machine("x").control_socket))
        if longest > _SOCKET_PATH_LIMIT:
            hint = f"use a runtime folder shorter by {longest - _SOCKET_PATH_LIMIT} characters"
            raise HostError(f"{self._sockets} is too long a path for unix sockets", operation="start", hint=hint)
        for folder in (self._machines, self._sockets):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        inspect_qemu()
        self._hypervisor.open()

    def _ensure(self, request: SandboxRequest, progress: Progress) -> LibvirtSandbox:
        machine = self._machine(request.name)
        if (known := self._open.pop(request.name, None)) is not None:
            known.let_go()
        if self._hypervisor.is_running(request.name):
            try:
                return self._keep(self._adopt(machine, request, progress))
            except SandboxError as error:
                progress(f"{request.name}: could not be adopted, is started again ({error.message})")
        self._hypervisor.destroy(request.name)
        if end_stray(machine.folder):
            progress(f"{request.name}: ended a machine that nobody could reach any more")
        note = "started on its own disk" if machine.exists else "cold boot: no template yet"
        return self._keep(self._boot(machine, request, note, progress))

    def _adopt(self, machine: Machine, request: SandboxRequest, progress: Progress) -> LibvirtSandbox:
        """A machine an earlier engine left: wait for what still runs before its session is ended."""
        control, channel = self._channels(machine, request)
        wait = self._quiesce_seconds
        requirements = [
            Requirement("the machine's agent answers", lambda s: control.request("ping", s), "it is started again"),
            Requirement(
                "what the agent runs has ended",
                lambda _: control.request("quiesce", wait + _ANSWER_SECONDS, timeout=wait),
                "commands that run for very long are ended",
            ),
            Requirement("the clock is right", lambda s: control.request("clock", s, time=time.time()), ""),
            Requirement("SSH answers", channel.connect, f"see {machine.console_log}"),
        ]
        return self._ready(machine, request, "adopted", progress, (control, channel), requirements)

    def _boot(self, machine: Machine, request: SandboxRequest, note: str, progress: Progress) -> LibvirtSandbox:
        packs = [self._packs.ensure(name, progress) for name in request.packs]
        if not machine.exists:
            machine.make(self._images.ensure(request.image, progress), request.disk_gib)
        image, qemu = machine.image(), inspect_qemu()
        machine.clear_sockets()
        progress(f"{request.name}: starting the machine" + (" (no KVM: emulated)" if qemu.accelerator == "tcg" else ""))
        spec = DomainSpec(
            name=request.name,
            cpus=request.cpus,
            memory_mib=request.memory_mib,
            emulator=qemu.path,
            machine=qemu.machine,
            accelerator=qemu.accelerator,
            kernel=image.kernel,
            initramfs=image.initramfs,
            disk=machine.disk,
            packs=[PackDisk(pack.name, pack.disk) for pack in packs],
            control_socket=machine.control_socket,
            ssh_socket=machine.ssh_socket,
            console_log=machine.console_log,
        )
        if (pid := self._hypervisor.create(domain_xml(spec))) is not None:
            note_process(machine.folder, pid)
        control, channel = self._channels(machine, request)
        identity = _identity(machine, request)
        log = f"see {machine.console_log}"
        requirements = [
            Requirement("the machine boots", lambda s: control.request("ping", s), log),
            Requirement("it is itself", lambda s: control.request("personalise", s, **identity), log),
            Requirement(f"SSH answers, port {DOOR_PORT} leads to its door", channel.connect, log),
        ]
        try:
            return self._ready(machine, request, note, progress, (control, channel), requirements)
        except SandboxError:
            self._hypervisor.destroy(request.name)
            raise

    def _ready(
        self,
        machine: Machine,
        request: SandboxRequest,
        note: str,
        progress: Progress,
        channels: tuple[ControlPort, Channel],
        requirements: list[Requirement],
    ) -> LibvirtSandbox:
        control, channel = channels
        try:
            seconds = _BOOT_SECONDS + (self._quiesce_seconds if note == "adopted" else 0)
            meet(requirements, seconds, lambda words: progress(f"{request.name}: {words}"))
        except SandboxError:
            channel.close()
            control.close()
            raise
        name = request.name
        return LibvirtSandbox(
            name, note, control, channel, machine.mirror_manifest, lambda: self._hypervisor.is_running(name)
        )

    def _stop(self, name: str) -> None:
        self._let_go(name)
        if self._hypervisor.is_running(name):
            control = ControlPort(self._machine(name).control_socket)
            try:
                control.request("poweroff", _ANSWER_SECONDS)
                self._hypervisor.wait_gone(name, _POWEROFF_SECONDS)
            except SandboxError:
                pass  # it does not listen: the plug is pulled below
            finally:
                control.close()
        self._hypervisor.destroy(name)
        self._machine(name).clear_sockets()

    def _destroy(self, name: str) -> None:
        self._let_go(name)
        self._hypervisor.destroy(name)
        end_stray(self._machine(name).folder)
        self._machine(name).remove()

    def _close(self) -> None:
        for name in list(self._open):
            self._let_go(name)
        self._hypervisor.close()

    def _keep(self, sandbox: LibvirtSandbox) -> LibvirtSandbox:
        self._open[sandbox.name] = sandbox
        return sandbox

    def _let_go(self, name: str) -> None:
        if (sandbox := self._open.pop(name, None)) is not None:
            sandbox.let_go()

    def _channels(self, machine: Machine, request: SandboxRequest) -> tuple[ControlPort, Channel]:
        return ControlPort(machine.control_socket), Channel(machine.ssh_socket, machine.keys(), request.door)

    def _machine(self, name: str) -> Machine:
        if not _NAME.fullmatch(name):
            raise SandboxError(f"{name!r} is no name for a machine", operation="machine")
        return Machine(name, self._machines / name, self._sockets)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())


def _identity(machine: Machine, request: SandboxRequest) -> dict[str, object]:
    keys = machine.keys()
    return {
        "seed": secrets.token_hex(64),
        "time": time.time(),
        "hostname": request.hostname,
        "machine_id": uuid.uuid4().hex,
        "hostkey": keys.dropbear_host_key.hex(),
        "authorized_key": keys.authorized_key,
    }
