"""What libvirt starts in place of QEMU: goes behind every wall this host offers, then becomes QEMU.

A program of its own, run by a bare interpreter (``python -I -S``): it imports nothing of Skerry. Its first argument is
a file of settings, the rest is QEMU's. A QEMU taken over by its guest then has no network, no capability that counts
outside, and no file but the machine's own. A wall that the host does not offer is left out; ``app.sandbox.walls`` says
which. libvirt's questions to QEMU about its abilities name no machine and pass straight through.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import resource
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYS_CAPSET, _SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 126, 444, 445, 446
_CLONE_NEWNS, _MS_REC, _MS_BIND, _MS_PRIVATE, _MNT_DETACH = 0x20000, 16384, 4096, 1 << 18, 2
_SYS_PIVOT_ROOT = 155
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _PR_SET_THP_DISABLE = 38, 24, 41
_CAPABILITY_VERSION = 0x20080522
_NICE, _OOM_SCORE = "5", "300"

# Rights of Landlock, by the version of its interface that brought them (linux/landlock.h).
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ALL_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_NETWORK_RIGHTS, _SCOPES = 0b11, 0b11
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev/urandom", "/dev/random", "/bin", "/sbin")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/kvm", "/dev/ptmx", "/dev/pts")


def main(arguments: Sequence[str]) -> None:
    """Does not return: becomes the emulator, or ends with a word of why it cannot."""
    with open(arguments[0], encoding="utf-8") as file:
        settings = json.load(file)
    words = list(arguments[1:])
    environment = dict(os.environ)
    if machine_of(words):
        if "tcg" in "".join(values(words, "-accel")):
            use_small_pages()
        enclose(settings, words)
        if settings["guard"] and (ram := cloned_ram(words)):
            environment |= {"LD_PRELOAD": settings["guard"], "SKERRY_TEMPLATE_RAM": ram}
    os.execve(settings["emulator"], [settings["emulator"], *words], environment)


def machine_of(words: Sequence[str]) -> str:
    """The name of the machine to be run; empty when QEMU is only asked what it can do."""
    for option in values(words, "-name"):
        for part in option.split(","):
            if part.startswith("guest="):
                return part.removeprefix("guest=")
    return ""


def cloned_ram(words: Sequence[str]) -> str:
    """The template's RAM that this machine maps copy-on-write, if it does."""
    for option in values(words, "-object"):
        if option.startswith("memory-backend-file,") and option.endswith(",share=off"):
            path = option.partition("mem-path=")[2].removesuffix(",share=off")
            return path.replace(",,", ",")
    return ""


def values(words: Sequence[str], option: str) -> list[str]:
    """What stands behind each ``option``."""
    return [word for before, word in itertools.pairwise(words) if before == option]


def files_of(words: Sequence[str], settings: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Paths the machine may read, and those it may write: its disks as they are attached, its folder, its sockets."""
    reads, writes = set(settings["reads"]), set(settings["writes"])
    devices = [json.loads(option) for option in values(words, "-blockdev")]
    written = {device.get("file") for device in devices if not device.get("read-only", False)}
    for device in devices:
        if device.get("driver") == "file":
            (writes if device.get("node-name") in written else reads).add(device["filename"])
            if os.path.basename(device["filename"]) == settings["disk"] and device.get("node-name") in written:
                writes.add(os.path.dirname(device["filename"]))
    for option in values(words, "-object"):
        if option.startswith("{") and "file" in (secret := json.loads(option)):
            writes.add(os.path.dirname(secret["file"]))  # what libvirt has for this machine alone
        if option.startswith("memory-backend-file,") and not (settings["guard"] and option.endswith(",share=off")):
            writes.add(option.partition("mem-path=")[2].rpartition(",share=")[0].replace(",,", ","))
    return reads, writes


def enclose(settings: dict[str, Any], words: Sequence[str]) -> None:
    """Put up all walls there are; the log of QEMU tells of the others."""
    reads, writes = files_of(words, settings)
    for name, why in put_up(settings["root"], reads, writes).items():
        if why:
            print(f"skerry: no wall of {name}: {why}", file=sys.stderr)


def tried(root: str) -> dict[str, str]:
    """Walls by their names, each with why it does not stand, or nothing. This process is behind them then."""
    return put_up(root, set(), set())


def put_up(root: str, reads: set[str], writes: set[str]) -> dict[str, str]:
    """All walls in the order in which they can be built."""
    walls: dict[str, Callable[[], object]] = {
        "priority": yield_to_the_host,
        "namespaces": leave_namespaces,
        "mounts": lambda: leave_the_rest_behind(root, [*_SYSTEM, *_DEVICES, *reads, *writes]),
        "privileges": drop_privileges,
        "files": lambda: restrict_files(reads, writes),
    }
    found = {}
    for name, build in walls.items():
        try:
            build()
        except OSError as error:
            found[name] = str(error)
        else:
            found[name] = ""
    return found


def yield_to_the_host() -> None:
    """Programs of the host come first, for memory and for the processor; no memory is written to a core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path, value in (("/proc/self/oom_score_adj", _OOM_SCORE), ("/proc/self/autogroup", _NICE)):
        with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as knob:
            knob.write(value)


def use_small_pages() -> None:
    """No huge pages, for an emulating QEMU: six clones at once were there a quarter sooner (docs/decisions/0011)."""
    _LIBC.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def leave_namespaces() -> None:
    """Into a user namespace whose capabilities count nowhere, without network and without the host's IPC."""
    user, group = os.geteuid(), os.getegid()
    _call(_LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def leave_the_rest_behind(root: str, paths: Iterable[str]) -> None:
    """Into a tree at the folder ``root`` that holds these paths only. Needs ``leave_namespaces`` before.

    No rule on files keeps a socket from being connected to, such as another machine's door or the desktop's bus; what
    is out of sight cannot be.
    """
    _call(_LIBC.unshare(_CLONE_NEWNS))
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    _mount("skerry", root, "tmpfs", 0)
    for path in sorted(set(paths)):
        if os.path.lexists(path):
            _bring(path, root + path)
    os.chdir(root)
    _call(_LIBC.syscall(_SYS_PIVOT_ROOT, b".", b"."))
    _call(_LIBC.umount2(b".", _MNT_DETACH))
    os.chdir("/")


def _bring(path: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    if not os.path.lexists(target):  # it is there when what holds it is
        os.mkdir(target) if os.path.isdir(path) else os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    _mount(path, target, None, _MS_BIND | _MS_REC)


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    words = [word.encode("utf-8", "surrogateescape") if word else None for word in (source, target, kind)]
    _call(_LIBC.mount(*words, ctypes.c_ulong(flags), None))


def drop_privileges() -> None:
    """No capability is left even inside the namespace, and no program can give one back."""
    for capability in range(64):
        if _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            break
    header, data = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    _call(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _call(_LIBC.syscall(_SYS_CAPSET, header, data))


def landlock_version() -> int:
    """Version of the kernel's Landlock interface. Raises OSError when there is none."""
    return _call(_LIBC.syscall(_SYS_CREATE_RULESET, None, 0, 1))


def restrict_files(reads: Iterable[str], writes: Iterable[str]) -> None:
    """From here on only these paths, and what is below them, can be opened. Needs ``drop_privileges`` before."""
    version = landlock_version()
    handled = max(rights for since, rights in _ALL_RIGHTS.items() if since <= version)
    fields = [handled, _NETWORK_RIGHTS if version >= 4 else 0, _SCOPES if version >= 6 else 0]
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _call(_LIBC.syscall(_SYS_CREATE_RULESET, (ctypes.c_uint64 * 3)(*fields), size, 0))
    for path in {*_SYSTEM, *reads}:
        _allow(rules, path, _READ & handled)
    for path in {*_DEVICES, *writes}:
        _allow(rules, path, handled)
    _call(_LIBC.syscall(_SYS_RESTRICT_SELF, rules, 0))
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not os.path.isdir(path):
                rights &= _FILE_RIGHTS
            beneath = rights.to_bytes(8, sys.byteorder) + handle.to_bytes(4, sys.byteorder)
            _call(_LIBC.syscall(_SYS_ADD_RULE, rules, 1, beneath, 0))
        finally:
            os.close(handle)


def _call(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
