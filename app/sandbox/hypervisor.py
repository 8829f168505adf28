"""libvirt's embedded driver: no daemon, the same for root and for users, one root folder per process.

The driver's lock file makes a second engine on the same folder fail; machines outlive the process and are found
again by the next one. All methods block: call them from a thread.
"""

from __future__ import annotations

import contextlib
import functools
import grp
import json
import os
import pwd
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from app.domain.errors import HostError, SandboxError
from app.sandbox.domain_xml import own_memory
from app.sandbox.libvirt_api import INSTALL, load_libvirt
from app.sandbox.reaper import become_subreaper, reap_when_ended, reaping

DomainState = Literal["ended", "running", "paused"]
_ROOT_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = [ ]
security_driver = "none"
namespaces = [ ]
"""
_CONF = """\
stdio_handler = "file"
# libvirt would ask for each of the processor's 240 properties at every start, over a monitor that QEMU reads byte by
# byte: a third of a second. Without this it asks once for all.
capability_filters = [ "cpu-unavailable-features" ]
"""
_DOMAIN_FOLDER = re.compile(r"domain-(\d+)-.+")
_SOCKET_PATH_LIMIT = 107
_LONGEST_SOCKET = "/lib/qemu/domain-99999-12345678901234567890/monitor.sock"
_ACCOUNT = "libvirt-qemu"
_ADD_ACCOUNT = f"useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {_ACCOUNT}"


class Hypervisor:
    """A connection to ``qemu:///embed`` with its state in ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._libvirt: Any = None
        self._connection: Any = None
        self._watches: list[int] = []

    def open(self) -> None:
        """Raises HostError naming what is missing, or that another process has the folder."""
        if missing_account():
            raise HostError(f"the account {_ACCOUNT} is missing", operation="hypervisor", hint=_ADD_ACCOUNT)
        self._prepare()
        self._libvirt = load_libvirt(self._root / "libvirt.log")
        _start_event_loop(self._libvirt)
        become_subreaper()
        try:
            with reaping():
                self._connection = self._libvirt.open(f"qemu:///embed?root={self._root}")
        except self._libvirt.libvirtError as error:
            raise _open_error(error, self._root) from error

    def close(self) -> None:
        """Let go; machines go on. Safe to repeat."""
        if self._connection is not None:
            with contextlib.suppress(self._libvirt.libvirtError):
                while self._watches:
                    self._connection.domainEventDeregisterAny(self._watches.pop())
                self._connection.close()
            self._connection = None

    def names(self) -> list[str]:
        """Machines that exist now, running or paused."""
        with self._translated("list machines"):
            return sorted(domain.name() for domain in self._open().listAllDomains())

    def state(self, name: str) -> DomainState:
        """What the machine is doing; one that is shutting down has ended."""
        domain = self._find(name)
        if domain is None:
            return "ended"
        try:
            found = domain.state()[0]
        except self._libvirt.libvirtError:
            return "ended"  # between the two questions
        if found == self._libvirt.VIR_DOMAIN_RUNNING:
            return "running"
        return "paused" if found == self._libvirt.VIR_DOMAIN_PAUSED else "ended"

    def is_alive(self, name: str) -> bool:
        """Whether the machine is there, running or paused."""
        return self.state(name) != "ended"

    def create(self, xml: str, *, paused: bool = False) -> int | None:
        """Start a machine, ``paused`` if need be; returns its process. When it ends, libvirt forgets it."""
        with self._translated("start the machine"), reaping():
            flags = self._libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
            name = self._open().createXML(xml, flags).name()
        return self._watched_pid(name)

    def restore(self, name: str, path: Path) -> int | None:
        """Bring back what ``save`` wrote, paused, with a memory of its own; returns its process."""
        with self._translated("restore the machine"), reaping():
            secrets = self._libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
            xml = own_memory(self._open().saveImageGetXMLDesc(str(path), secrets))
            self._open().restoreFlags(str(path), xml, self._libvirt.VIR_DOMAIN_SAVE_PAUSED)
        return self._watched_pid(name)

    def save(self, name: str, path: Path) -> None:
        """Write all of the machine's memory and state to ``path`` and end it."""
        with self._translated("save the machine"), reaping():
            self._open().lookupByName(name).save(str(path))

    def destroy(self, name: str) -> None:
        """Pull the plug and wait until the process is gone. No error when there is none."""
        domain = self._find(name)
        if domain is None:
            return
        gone = (self._libvirt.VIR_ERR_NO_DOMAIN, self._libvirt.VIR_ERR_OPERATION_INVALID)
        with self._translated("destroy the machine"), reaping():
            try:
                domain.destroy()
            except self._libvirt.libvirtError as error:
                if error.get_error_code() not in gone:
                    raise

    def pause(self, name: str) -> None:
        """Stop its processors."""
        with self._translated("pause the machine"):
            self._open().lookupByName(name).suspend()

    def resume(self, name: str) -> None:
        """Let them go on."""
        with self._translated("resume the machine"):
            self._open().lookupByName(name).resume()

    def monitor(self, name: str, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A command of QEMU's own protocol, for what libvirt cannot do. Raises SandboxError when QEMU refuses."""
        import libvirt_qemu  # only there when libvirt is

        with self._translated(command):
            domain = self._open().lookupByName(name)
            answer = libvirt_qemu.qemuMonitorCommand(
                domain, json.dumps({"execute": command, "arguments": arguments}), 0
            )
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise SandboxError(f"QEMU: {found['error'].get('desc')}", operation=command)
        result: dict[str, Any] = found.get("return", {})
        return result

    def meeting_place(self, name: str) -> Path:
        """A folder with a short path that is this machine's alone and that its process sees too, for a socket."""
        with self._translated("find the machine's folder"):
            number = self._open().lookupByName(name).ID()
        folder = next((self._root / "lib" / "qemu").glob(f"domain-{number}-*"), None)
        if folder is None:
            raise SandboxError(f"libvirt has no folder for {name}", operation="find the machine's folder")
        return folder

    def on_disk_full(self, stopped: Callable[[str], None]) -> None:
        """From now on call ``stopped``, in a thread of libvirt's, with each machine that could not write."""

        def heard(_: Any, domain: Any, _path: str, _alias: str, action: int, reason: str, _opaque: Any) -> None:
            if action == self._libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE and reason == "enospc":
                stopped(domain.name())

        with self._translated("watch disks"):
            event = self._libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON
            self._watches.append(self._open().domainEventRegisterAny(None, event, heard, None))

    def wait_gone(self, name: str, seconds: float) -> bool:
        """Wait for a machine that is powering itself off; false when it is still there."""
        deadline = time.monotonic() + seconds
        while self._find(name) is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def pid(self, name: str) -> int | None:
        """Process id of the machine's QEMU."""
        with contextlib.suppress(OSError, ValueError):
            return int((self._root / "run" / "qemu" / f"{name}.pid").read_text("utf-8").strip())
        return None

    def forget(self, name: str) -> None:
        """Remove what libvirt leaves of a machine that has ended."""
        self.log(name).unlink(missing_ok=True)

    def logs(self) -> list[Path]:
        """libvirt's logs, one for each machine that ever ran."""
        return sorted(self.log("x").parent.glob("*.log"))

    def forgotten_folders(self) -> list[Path]:
        """Folders libvirt made for machines that do not exist any more; not while one is being started."""
        with self._translated("list machines"):
            numbers = {domain.ID() for domain in self._open().listAllDomains()}
        found = ((path, _DOMAIN_FOLDER.fullmatch(path.name)) for path in (self._root / "lib" / "qemu").glob("domain-*"))
        return sorted(path for path, match in found if match and int(match[1]) not in numbers)

    def log(self, name: str) -> Path:
        """What QEMU and libvirt said of one machine."""
        return self._root / "log" / "qemu" / f"{name}.log"

    def _watched_pid(self, name: str) -> int | None:
        if (pid := self.pid(name)) is not None:
            reap_when_ended(pid)
        return pid

    def _prepare(self) -> None:
        if len(str(self._root) + _LONGEST_SOCKET) > _SOCKET_PATH_LIMIT:
            limit = _SOCKET_PATH_LIMIT - len(_LONGEST_SOCKET)
            raise HostError(
                f"{self._root} is too long a path for the sockets of libvirt",
                operation="hypervisor",
                hint=f"use a folder with at most {limit} characters",
            )
        (self._root / "etc").mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o700)
        (self._root / "etc" / "qemu.conf").write_text(_CONF + ("" if os.geteuid() else _ROOT_CONF), "utf-8")

    def _open(self) -> Any:
        if self._connection is None:
            raise SandboxError("the hypervisor is not open", operation="hypervisor")
        return self._connection

    def _find(self, name: str) -> Any:
        with self._translated("find the machine"):
            try:
                return self._open().lookupByName(name)
            except self._libvirt.libvirtError as error:
                if error.get_error_code() == self._libvirt.VIR_ERR_NO_DOMAIN:
                    return None
                raise

    @contextlib.contextmanager
    def _translated(self, operation: str) -> Iterator[None]:
        self._open()
        try:
            yield
        except self._libvirt.libvirtError as error:
            raise SandboxError(f"libvirt: {error.get_error_message()}", operation=operation) from error


def missing_account() -> bool:
    """libvirt run by root insists on its account even when it is told to use another."""
    if os.geteuid() != 0:
        return False
    try:
        pwd.getpwnam(_ACCOUNT)
        grp.getgrnam(_ACCOUNT)
    except KeyError:
        return True
    return False


def _open_error(error: Any, root: Path) -> HostError:
    text = error.get_error_message() or str(error)
    if "pid file" in text or "driver.pid" in text:
        return HostError(f"another engine has the machines of {root}", operation="hypervisor", hint="skerry stop")
    return HostError(f"libvirt could not be started: {text}", operation="hypervisor", hint=INSTALL)


@functools.cache
def _start_event_loop(libvirt: Any) -> None:
    """Once a process: libvirt notices the end of a machine only when its event loop runs."""
    libvirt.virEventRegisterDefaultImpl()
    libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised; libvirt would print them as well
    threading.Thread(target=_run_event_loop, args=(libvirt,), name="libvirt-events", daemon=True).start()


def _run_event_loop(libvirt: Any) -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
