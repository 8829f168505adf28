"""QEMU started by hand: the command line that libvirt makes of our domain, without libvirt. Everything blocks.

A clone only works when the devices are those of the machine the template was made from: a state that does not fit is
refused by QEMU, so a difference to ``sandbox.domain_xml`` shows.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from app.domain.errors import SandboxError
from app.sandbox.domain_xml import CONTROL_PORT, SSH_PORT, DomainSpec, kernel_flags
from app.sandbox.machine import Machine
from app.sandbox.template import Template

_SECONDS = 60.0
_INTERVAL = 0.005
_TRANSLATIONS_MIB = 256


def command_line(spec: DomainSpec, monitor: Path) -> list[str]:
    """QEMU's arguments for a machine without packs."""
    emulated = spec.accelerator == "tcg"
    line = [spec.emulator, "-name", spec.name, "-no-user-config", "-nodefaults", "-display", "none"]
    line += ["-machine", f"{spec.machine},usb=off,dump-guest-core=off,memory-backend={'tm' if spec.ram else 'pc.ram'}"]
    line += ["-accel", f"tcg,tb-size={_TRANSLATIONS_MIB}" if emulated else "kvm"]
    line += ["-cpu", "Nehalem" if emulated else "host", "-smp", str(spec.cpus), "-m", str(spec.memory_mib)]
    line += [*_memory(spec), "-overcommit", "mem-lock=off", "-rtc", "base=utc", "-no-shutdown", "-boot", "strict=on"]
    line += ["-kernel", str(spec.kernel), "-initrd", str(spec.initramfs), "-append", kernel_flags(spec.accelerator)]
    line += ["-device", "virtio-serial-pci,id=virtio-serial0,bus=pcie.0,addr=0x4"]
    line += [*_disk("root", "qcow2", spec.disk, "0x3", ",bootindex=1"), *_disk("transfer", "raw", spec.transfer, "0x6")]
    line += ["-chardev", f"{_listening('serial', spec.serial_socket)},logfile={spec.console_log},logappend=on"]
    line += ["-device", "isa-serial,chardev=serial,id=serial0,index=0"]
    for number, (name, path) in enumerate(((CONTROL_PORT, spec.control_socket), (SSH_PORT, spec.ssh_socket)), start=1):
        line += ["-chardev", _listening(f"channel{number}", path)]
        line += ["-device", f"virtserialport,bus=virtio-serial0.0,nr={number},chardev=channel{number},name={name}"]
    line += ["-object", "rng-random,id=rng0,filename=/dev/urandom"]
    line += ["-device", "virtio-rng-pci,rng=rng0,bus=pcie.0,addr=0x5"]
    line += ["-chardev", _listening("monitor", monitor), "-mon", "chardev=monitor,mode=control"]
    sandbox = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    return [*line, "-sandbox", sandbox, *(["-S", "-incoming", "defer"] if spec.ram else [])]


def _memory(spec: DomainSpec) -> list[str]:
    size = f"size={spec.memory_mib}M"
    if spec.ram is None:
        return ["-object", f"memory-backend-ram,id=pc.ram,{size}"]
    return ["-object", f"memory-backend-file,id=tm,{size},mem-path={spec.ram.path},share=off"]


def _disk(serial: str, kind: str, path: Path, address: str, more: str = "") -> list[str]:
    # What libvirt names: buffered by the host, flushes obeyed, freed blocks given back.
    cache = "cache.direct=off,cache.no-flush=off,discard=unmap"
    file = f"driver=file,node-name={serial}-file,filename={path},{cache}"
    drive = f"driver={kind},node-name={serial},file={serial}-file,{cache}"
    device = f"virtio-blk-pci,bus=pcie.0,addr={address},drive={serial},serial={serial},write-cache=on{more}"
    return ["-blockdev", file, "-blockdev", drive, "-device", device]


def _listening(name: str, path: Path) -> str:
    return f"socket,id={name},path={path},server=on,wait=off"


class RawQemu:
    """A QEMU process; of a clone, when it is made its state is there and it runs."""

    def __init__(self, spec: DomainSpec, machine: Machine, template: Template | None) -> None:
        self._monitor = machine.ssh_socket.with_suffix(".q")
        self._monitor.unlink(missing_ok=True)
        self._log = machine.folder / "qemu.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command_line(spec, self._monitor),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            with contextlib.closing(self._connected()) as connection:
                monitor = _Monitor(connection)
                if template is not None:
                    _thaw(monitor, machine.migration_socket, template.state)
        except (OSError, SandboxError) as error:
            self.end()
            words = self._log.read_text("utf-8", "replace").strip()[-500:]
            raise SandboxError(f"raw QEMU did not start: {error} {words}", operation="bench") from error

    def end(self) -> None:
        """Pull the plug. Safe to repeat."""
        self._process.kill()
        self._process.wait()
        self._monitor.unlink(missing_ok=True)

    def _connected(self) -> socket.socket:
        deadline = time.monotonic() + _SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(_SECONDS)
            try:
                connection.connect(str(self._monitor))
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(_INTERVAL)
            else:
                return connection


class _Monitor:
    """QEMU's own protocol."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._lines = connection, connection.makefile("rb")
        self._lines.readline()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        """Its answer. Raises SandboxError when QEMU refuses."""
        self._connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while line := self._lines.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise SandboxError(f"QEMU refuses {command}: {answer['error'].get('desc')}", operation="bench")
            if "return" in answer:
                found: dict[str, Any] = answer["return"]
                return found
        raise SandboxError("QEMU ended", operation="bench")


def _thaw(monitor: _Monitor, meeting: Path, state: Path) -> None:
    wanted = [{"capability": "x-ignore-shared", "state": True}]
    monitor.ask("migrate-set-capabilities", capabilities=wanted)
    monitor.ask("migrate-incoming", uri=f"unix:{meeting}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, state.open("rb") as file:
        connection.connect(str(meeting))
        meeting.unlink()
        connection.sendfile(file)
    deadline = time.monotonic() + _SECONDS
    while (status := monitor.ask("query-migrate").get("status")) != "completed":
        if status == "failed" or time.monotonic() > deadline:
            raise SandboxError(f"QEMU did not take the state ({status})", operation="bench")
        time.sleep(_INTERVAL)
    monitor.ask("cont")
