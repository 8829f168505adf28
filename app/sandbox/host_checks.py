"""What machines need of this host, looked at one by one. Each check returns what it found and changes nothing."""

from __future__ import annotations

import ctypes.util
import getpass
import grp
import importlib
import os
import re
import resource
import shutil
import subprocess
from pathlib import Path

from app.domain.errors import SkerryError
from app.domain.finding import Finding, State
from app.sandbox.host_tools import missing_tools
from app.sandbox.libvirt_api import INSTALL
from app.sandbox.qemu import inspect_qemu

GROUP = "machines"
_KVM = Path("/dev/kvm")
_QEMU_LEAST = (7, 2)
_FILES_LEAST = 1024
_WATCHES_LEAST, _INSTANCES_LEAST = 8192, 64
_SPACE_FAILED, _SPACE_LOW = 2 * 2**30, 8 * 2**30
_EMULATION = "machines run in software emulation, about ten times slower"


def sudo(command: str) -> str:
    """The command as this user has to type it."""
    return command if os.geteuid() == 0 else f"sudo {command}"


def check_kvm(device: Path = _KVM, cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    """Hardware virtualization: the processor's flags, the device, this user's right to it."""
    flags = re.search(r"\b(vmx|svm)\b", _text(cpuinfo))
    if flags is None:
        guest = (
            " (this host is a virtual machine without nested virtualization)" if "hypervisor" in _text(cpuinfo) else ""
        )
        return _kvm("warning", f"the processor offers no virtualization{guest}: {_EMULATION}")
    if not device.exists():
        module = "kvm_intel" if flags[1] == "vmx" else "kvm_amd"
        return _kvm("warning", f"{device} is missing: {_EMULATION}", sudo(f"modprobe {module}"))
    if not os.access(device, os.R_OK | os.W_OK):
        group = _group_of(device)
        member = group in {_group_name(gid) for gid in os.getgroups()}
        why = "in spite of the group" if member else f"you are not in the group {group}"
        join = sudo(f"usermod -aG {group} {getpass.getuser()}") + "  # then log in again"
        return _kvm("warning", f"{device} may not be used, {why}: {_EMULATION}", join)
    return _kvm("ok", f"{device} can be used")


def check_qemu() -> Finding:
    """QEMU's version and machine type."""
    try:
        qemu = inspect_qemu()
    except SkerryError as error:
        return Finding(GROUP, "QEMU", "failed", error.message, sudo("apt-get install qemu-system-x86"))
    numbers = tuple(int(part) for part in re.findall(r"\d+", qemu.version)[:2])
    if numbers < _QEMU_LEAST:
        reason = f"version {qemu.version} is too old, 7.2 is needed"
        return Finding(GROUP, "QEMU", "failed", reason, sudo("apt-get install qemu-system-x86"))
    return Finding(GROUP, "QEMU", "ok", f"version {qemu.version}, machine {qemu.machine}")


def check_libvirt() -> Finding:
    """The Python binding, and the driver it loads for machines without a daemon."""
    remedy = sudo(INSTALL.replace("apt install", "apt-get install"))
    try:
        importlib.import_module("libvirt")
    except ImportError as error:
        return Finding(GROUP, "libvirt", "failed", f"the Python binding cannot be loaded: {error}", remedy)
    places = [Path("/usr/lib"), Path("/usr/lib64")]
    if not any(found for place in places for found in place.glob("**/libvirt_driver_qemu.so")):
        return Finding(GROUP, "libvirt", "failed", "its QEMU driver is not installed", remedy)
    return Finding(GROUP, "libvirt", "ok", "binding and QEMU driver are there")


def check_tools() -> Finding:
    """Programs that build images and disks."""
    missing = missing_tools()
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        reason = "not installed: " + ", ".join(missing)
        return Finding(GROUP, "programs", "failed", reason, sudo(f"apt-get install {packages}"))
    return Finding(GROUP, "programs", "ok", "all are installed")


def check_user_namespaces() -> Finding:
    """What an ordinary user needs to build images."""
    command = ["unshare", "--user", "--map-root-user", *(["--map-auto"] if os.geteuid() else []), "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False)
        why = done.stderr.strip() if done.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error)
    if not why:
        return Finding(GROUP, "user namespaces", "ok", "can be used")
    user = getpass.getuser()
    remedy = sudo(f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}")
    state: State = "failed" if os.geteuid() else "warning"
    return Finding(GROUP, "user namespaces", state, f"cannot be used: {why}", remedy)


def check_space(what: str, folder: Path) -> Finding:
    """Room on the file system of ``folder``, which need not be there yet."""
    place = next(parent for parent in [folder, *folder.parents] if parent.exists())
    free = shutil.disk_usage(place).free
    state: State = "failed" if free < _SPACE_FAILED else "warning" if free < _SPACE_LOW else "ok"
    remedy = "" if state == "ok" else "skerry image prune"
    return Finding("space", f"disk for {what}", state, f"{free / 2**30:.1f} GiB free in {folder}", remedy)


def check_limits() -> Finding:
    """Open files and watches of files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FILES_LEAST:
        return Finding(
            "host", "open files", "failed", f"at most {hard}, {_FILES_LEAST} are needed", f"ulimit -n {_FILES_LEAST}"
        )
    if soft < _FILES_LEAST:
        return Finding("host", "open files", "warning", f"{soft} of at most {hard}", f"ulimit -n {_FILES_LEAST}")
    return Finding("host", "open files", "ok", f"up to {soft}")


def check_inotify(folder: Path = Path("/proc/sys/fs/inotify")) -> Finding:
    """The kernel's limits for watching files."""
    for name, least in (("max_user_watches", _WATCHES_LEAST), ("max_user_instances", _INSTANCES_LEAST)):
        value = _text(folder / name).strip()
        if value.isdigit() and int(value) < least:
            remedy = sudo(f"sysctl fs.inotify.{name}={least}")
            return Finding("host", "inotify", "warning", f"{name} is {value}, {least} are better", remedy)
    return Finding("host", "inotify", "ok", "the limits are wide enough")


def check_display_libraries() -> Finding:
    """What Qt loads to draw on an X display."""
    wanted = {"xcb-cursor": "libxcb-cursor0", "EGL": "libegl1", "xkbcommon-x11": "libxkbcommon-x11-0"}
    missing = [package for library, package in wanted.items() if not ctypes.util.find_library(library)]
    if missing:
        remedy = sudo("apt-get install " + " ".join(missing))
        return Finding("window", "libraries", "warning", f"missing: {', '.join(missing)}", remedy)
    return Finding("window", "libraries", "ok", "all are installed")


def _kvm(state: State, reason: str, remedy: str = "") -> Finding:
    return Finding(GROUP, "KVM", state, reason, remedy)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _group_of(path: Path) -> str:
    return _group_name(path.stat().st_gid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
