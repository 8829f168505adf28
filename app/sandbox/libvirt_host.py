"""Virtual machines on this host, as ``app.domain.ports.SandboxHost`` promises them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Collection
from pathlib import Path

from app.domain.errors import HostError, SandboxError
from app.domain.machines import MachineState, MachineUsage, Notify, Reconciliation, SandboxRequest, unheard
from app.domain.ports import Progress, Sandbox
from app.sandbox.control_port import ControlPort
from app.sandbox.emulator import Emulator
from app.sandbox.host_disk import HostDiskWatch
from app.sandbox.hypervisor import Hypervisor
from app.sandbox.image import ImageBuilder
from app.sandbox.launch import ANSWER_SECONDS, Launcher
from app.sandbox.machine import Machine
from app.sandbox.notices import Notices
from app.sandbox.packs import PackBuilder
from app.sandbox.reconcile import Reconciler
from app.sandbox.sandbox import LibvirtSandbox
from app.sandbox.start_queue import StartQueue
from app.sandbox.strays import end_stray
from app.sandbox.suspension import forget_saved_memory, save_to_disk, wake
from app.sandbox.template import TemplateStore
from app.sandbox.threads import in_thread, post
from app.sandbox.usage import machine_usage

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
        self._hypervisor, self._libvirt_root = Hypervisor(libvirt_root), libvirt_root
        self._notices = Notices()
        store = templates if isinstance(templates, TemplateStore) else TemplateStore(templates or images.folder)
        self._kept = {images.folder, store.folder}
        self._emulator = Emulator(libvirt_root, [images.folder, store.folder])
        self._launcher = Launcher(
            self._hypervisor, images, packs, quiesce_seconds, store, self._notices, self._emulator
        )
        self._starts = StartQueue()
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

    async def state(self, name: str) -> MachineState:
        """See ``SandboxHost.state``."""
        return await in_thread(self._state, name)

    async def pause(self, name: str) -> None:
        """See ``SandboxHost.pause``."""
        async with self._lock(name):
            await in_thread(self._pause, name)

    async def resume(self, name: str) -> None:
        """See ``SandboxHost.resume``."""
        async with self._lock(name):
            await in_thread(self._resume, name)

    async def suspend(self, name: str) -> None:
        """See ``SandboxHost.suspend``."""
        async with self._lock(name):
            await in_thread(self._suspend, name)

    async def usage(self, name: str) -> MachineUsage | None:
        """See ``SandboxHost.usage``."""
        return await in_thread(self._usage, name)

    async def reconcile(self, keep: Collection[str], expected: Collection[str]) -> Reconciliation:
        """See ``SandboxHost.reconcile``."""
        reconciler = Reconciler(self._hypervisor, self._machines, self._sockets, self._libvirt_root, self._kept)
        return await in_thread(reconciler.reconcile, frozenset(keep), frozenset(expected))

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
        found = self._adopt(machine, request, progress)
        sandbox = found if isinstance(found, LibvirtSandbox) else self._start_again(machine, request, progress, found)
        self._open[request.name] = sandbox
        return sandbox

    def _start_again(self, machine: Machine, request: SandboxRequest, progress: Progress, why: str) -> LibvirtSandbox:
        self._hypervisor.destroy(request.name)
        if end_stray(machine.folder):
            why = why or "nobody could reach it any more"
        if why:
            progress(f"{request.name}: is started again ({why})")
        with self._starts.turn(lambda: progress(f"{request.name}: waits for others to have started")):
            return self._launcher.boot(machine, request, progress, why)

    def _adopt(self, machine: Machine, request: SandboxRequest, progress: Progress) -> LibvirtSandbox | str:
        """The machine if it runs and can be used, else what is wrong with it."""
        state = self._hypervisor.state(request.name)
        if not machine.exists or state == "ended":
            return ""
        if machine.stage in ("making", "starting"):
            return "an earlier start was broken off"
        try:
            if state == "paused":
                wake(self._hypervisor, machine)
            return self._launcher.adopt(machine, request, progress)
        except SandboxError as error:
            return f"it could not be adopted: {error.message}"

    def _state(self, name: str) -> MachineState:
        machine, state = self._machine(name), self._hypervisor.state(name)
        if state != "ended":
            return state
        if not machine.exists:
            return "absent"
        return "suspended" if machine.saved_memory.exists() else "stopped"

    def _pause(self, name: str) -> None:
        if self._hypervisor.state(name) == "running":
            self._hypervisor.pause(name)

    def _resume(self, name: str) -> None:
        if self._hypervisor.state(name) == "paused":
            wake(self._hypervisor, self._machine(name))
            if (sandbox := self._open.get(name)) is not None:
                sandbox.right_clock()
            else:
                self._ask(name, "clock", time=time.time())

    def _suspend(self, name: str) -> None:
        state = self._hypervisor.state(name)
        if state == "ended":
            return
        self._let_go(name)
        if state == "running":
            self._ask(name, "sync")
        save_to_disk(self._hypervisor, self._machine(name))
        self._after_end(name)

    def _usage(self, name: str) -> MachineUsage | None:
        machine = self._machine(name)
        if not machine.exists:
            return None
        machine.trim_console()  # who asks how much it takes comes by often enough
        pid = self._hypervisor.pid(name) if self._hypervisor.is_alive(name) else None
        return machine_usage(machine.folder, pid)

    def _stop(self, name: str) -> None:
        self._let_go(name)
        machine, state = self._machine(name), self._hypervisor.state(name)
        if state == "paused":
            wake(self._hypervisor, machine)
        if state != "ended" and self._ask(name, "poweroff"):
            self._hypervisor.wait_gone(name, _POWEROFF_SECONDS)
        self._hypervisor.destroy(name)  # pulls the plug where the machine did not listen
        forget_saved_memory(machine)
        self._after_end(name)
        if machine.exists and machine.stage != "making":
            machine.enter("stopped")

    def _ask(self, name: str, operation: str, **fields: object) -> bool:
        """Over a control channel of its own; false when the machine did not do it."""
        control = ControlPort(self._machine(name).control_socket)
        with contextlib.closing(control), contextlib.suppress(SandboxError):
            control.request(operation, ANSWER_SECONDS, **fields)
            return True
        return False

    def _after_end(self, name: str) -> None:
        machine = self._machine(name)
        end_stray(machine.folder)
        machine.clear_sockets()

    def _destroy(self, name: str) -> None:
        self._let_go(name)
        self._hypervisor.destroy(name)
        self._after_end(name)
        self._hypervisor.forget(name)
        self._machine(name).remove()

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
