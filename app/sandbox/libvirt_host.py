"""Virtual machines on this host, as ``app.domain.ports.SandboxHost`` promises them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

from app.domain.errors import HostError, SandboxError
from app.domain.ports import Notify, Progress, Sandbox, SandboxRequest, unheard
from app.sandbox.control_port import ControlPort
from app.sandbox.emulator import Emulator
from app.sandbox.host_disk import HostDiskWatch
from app.sandbox.hypervisor import Hypervisor
from app.sandbox.image import ImageBuilder
from app.sandbox.launch import ANSWER_SECONDS, Launcher
from app.sandbox.machine import Machine
from app.sandbox.notices import Notices
from app.sandbox.packs import PackBuilder
from app.sandbox.sandbox import LibvirtSandbox
from app.sandbox.strays import end_stray
from app.sandbox.template import TemplateStore
from app.sandbox.threads import in_thread, post

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SOCKET_PATH_LIMIT = 107
_POWEROFF_SECONDS = 20.0


class LibvirtHost:
    """Machines through libvirt's embedded driver; a process can have one such host, for one ``libvirt_root``.

    ``machines`` keeps disks and keys, ``sockets`` the channels, ``libvirt_root`` what libvirt knows of running
    machines; the last two need short paths. All are made if need be, for us alone (0700).
    Templates are kept beside the images unless ``templates`` says where.
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
        templates: Path | TemplateStore | None = None,
    ) -> None:
        self._machines, self._sockets = machines, sockets
        self._hypervisor = Hypervisor(libvirt_root)
        self._notices = Notices()
        store = templates if isinstance(templates, TemplateStore) else TemplateStore(templates or images.folder)
        self._emulator = Emulator(libvirt_root, [images.folder, store.folder])
        self._launcher = Launcher(
            self._hypervisor, images, packs, quiesce_seconds, store, self._notices, self._emulator
        )
        self._disk_watch = HostDiskWatch(self._hypervisor, machines, self._notices.tell)
        self._locks: dict[str, asyncio.Lock] = {}
        self._open: dict[str, LibvirtSandbox] = {}

    async def start(self) -> None:
        """See ``SandboxHost.start``."""
        await in_thread(self._start)

    async def ensure(self, request: SandboxRequest, progress: Progress, notify: Notify = unheard) -> Sandbox:
        """See ``SandboxHost.ensure``. ``progress`` and ``notify`` are called on the event loop."""
        loop = asyncio.get_running_loop()
        async with self._lock(request.name):
            self._notices.listen(request.name, lambda notice: post(loop, notify, notice))
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
            self._notices.forget(name)
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
        self._emulator.prepare()
        self._hypervisor.open()
        self._disk_watch.start()

    def _ensure(self, request: SandboxRequest, progress: Progress) -> LibvirtSandbox:
        machine = self._machine(request.name)
        self._let_go(request.name)
        sandbox = self._adopt(machine, request, progress)
        if sandbox is None:
            self._hypervisor.destroy(request.name)
            if end_stray(machine.folder):
                progress(f"{request.name}: ended a machine that nobody could reach any more")
            sandbox = self._launcher.boot(machine, request, progress)
        self._open[request.name] = sandbox
        return sandbox

    def _adopt(self, machine: Machine, request: SandboxRequest, progress: Progress) -> LibvirtSandbox | None:
        if not (machine.exists and self._hypervisor.is_running(request.name)):
            return None
        try:
            return self._launcher.adopt(machine, request, progress)
        except SandboxError as error:
            progress(f"{request.name}: could not be adopted, is started again ({error.message})")
            return None

    def _stop(self, name: str) -> None:
        self._let_go(name)
        machine = self._machine(name)
        if self._hypervisor.is_running(name):
            control = ControlPort(machine.control_socket)
            with contextlib.closing(control), contextlib.suppress(SandboxError):
                control.request("poweroff", ANSWER_SECONDS)
                self._hypervisor.wait_gone(name, _POWEROFF_SECONDS)
        self._hypervisor.destroy(name)  # pulls the plug where the machine did not listen
        end_stray(machine.folder)
        machine.clear_sockets()

    def _destroy(self, name: str) -> None:
        self._let_go(name)
        self._hypervisor.destroy(name)
        machine = self._machine(name)
        end_stray(machine.folder)
        machine.remove()

    def _close(self) -> None:
        for name in list(self._open):
            self._let_go(name)
        self._disk_watch.close()
        self._hypervisor.close()

    def _let_go(self, name: str) -> None:
        if (sandbox := self._open.pop(name, None)) is not None:
            sandbox.let_go()

    def _machine(self, name: str) -> Machine:
        if not _NAME.fullmatch(name):
            raise SandboxError(f"{name!r} is no name for a machine", operation="machine")
        return Machine(name, self._machines / name, self._sockets)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())
