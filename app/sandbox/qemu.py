"""What this host's QEMU and processor offer."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.domain.errors import HostError
from app.sandbox.host_tools import find_tool

_EMULATOR = "qemu-system-x86_64"
Accelerator = Literal["kvm", "tcg"]


@dataclass(frozen=True, slots=True)
class Qemu:
    """The emulator to use; ``machine`` is a versioned q35, so that a saved machine still fits after an upgrade."""

    path: str
    version: str
    machine: str
    accelerator: Accelerator


@functools.cache
def inspect_qemu() -> Qemu:
    """Raises HostError when QEMU is missing or too old for us."""
    path = find_tool(_EMULATOR)
    version = re.search(r"version (\S+)", _output(path, "--version"))
    machines = re.findall(r"^(pc-q35-(\d+)\.(\d+))\s(?!.*deprecated)", _output(path, "-machine", "help"), re.MULTILINE)
    if version is None or not machines:
        raise HostError(
            "this QEMU has no q35 machine", operation="qemu", hint="apt install qemu-system-x86 (7.2 or newer)"
        )
    newest = max(machines, key=lambda found: (int(found[1]), int(found[2])))[0]
    return Qemu(path, version[1], newest, "kvm" if kvm_usable() else "tcg")


def kvm_usable(cpuinfo: Path = Path("/proc/cpuinfo"), device: Path = Path("/dev/kvm")) -> bool:
    """Whether guests would really run: a device that opens is not enough, some hosts show one that hangs."""
    try:
        flags = cpuinfo.read_text("utf-8", "replace")
    except OSError:
        return False
    return bool(re.search(r"\b(vmx|svm)\b", flags)) and os.access(device, os.R_OK | os.W_OK)


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"QEMU does not run: {error}", operation="qemu", hint="apt install qemu-system-x86") from error
