"""QEMU started by hand: with the command line libvirt makes for our machines, without libvirt. Everything blocks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.bench.processes import qemu_of
from app.domain.errors import SandboxError
from app.sandbox.machine import Machine
from app.sandbox.template import Template

_SECONDS = 60.0
_INTERVAL = 0.005


@dataclass(frozen=True, slots=True)
class Pattern:
    """The command line of one of our machines: what raw QEMU is started with, libvirt's own plumbing apart."""

    words: tuple[str, ...]
    machine: Machine
    guard: Mapping[str, str]
    """What keeps it from punching holes into the template's memory (see sandbox/ram_guard.c), as environment."""

    @classmethod
    def of(cls, machine: Machine) -> Pattern:
        """Of a machine that runs. Raises SandboxError or OSError when it does not."""
        process = Path(f"/proc/{qemu_of(machine.folder)}")
        command, environment = _strings(process / "cmdline"), _strings(process / "environ")
        given = dict(entry.split("=", 1) for entry in environment if "=" in entry)
        guard = {name: value for name, value in given.items() if name in ("LD_PRELOAD", "SKERRY_TEMPLATE_RAM")}
        return cls(command, machine, guard)

    def command_line(self, machine: Machine, monitor: Path) -> list[str]:
        """For another machine: its name, its files, sockets with names where libvirt hands over descriptors."""
        sockets = {
            "charmonitor": monitor,
            "charserial0": machine.serial_socket,
            "charchannel0": machine.control_socket,
            "charchannel1": machine.ssh_socket,
        }
        line = [self.words[0]]
        for option, value in _pairs(self.words[1:]):
            if option in ("-add-fd", "-S") or '"secret"' in value:
                continue
            line += [option, *self._values(option, value, machine, sockets)]
        return line

    def _values(self, option: str, value: str, machine: Machine, sockets: Mapping[str, Path]) -> list[str]:
        if option == "-name":
            return [machine.name]
        if option == "-uuid":
            return [str(uuid.uuid4())]
        if option == "-chardev":
            path = sockets[value.split("id=", 1)[1].split(",", 1)[0]]
            named = re.sub(r"\bfd=\d+", f"path={path}", value)
            return [re.sub(r"logfile=[^,]+", f"logfile={machine.console_log}", named)]
        return [value.replace(f"{self.machine.folder}/", f"{machine.folder}/")] if value else []


def _strings(path: Path) -> tuple[str, ...]:
    return tuple(os.fsdecode(word) for word in path.read_bytes().rstrip(b"\0").split(b"\0"))


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options with their values; the value of a switch is empty."""
    position = 0
    while position < len(words):
        plain = position + 1 == len(words) or words[position + 1].startswith("-")
        yield words[position], "" if plain else words[position + 1]
        position += 1 if plain else 2


class RawQemu:
    """A QEMU process; of a clone, when it is made its state is there and it runs."""

    def __init__(self, pattern: Pattern, machine: Machine, template: Template | None) -> None:
        self._monitor = machine.ssh_socket.with_suffix(".q")
        self._monitor.unlink(missing_ok=True)
        self._log = machine.folder / "qemu.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*pattern.command_line(machine, self._monitor), *(["-S"] if template else [])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **pattern.guard},
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
