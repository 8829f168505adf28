"""A folder of this host as a tar stream for a machine."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.domain.errors import ConfigError

_AGENT = 1000


@dataclass(frozen=True, slots=True)
class Packed:
    """One thing of the folder: its path relative to it, and what it was when it was read."""

    path: Path
    name: str
    found: os.stat_result


def folder_content(source: Path) -> list[Packed]:
    """Regular files, folders and links below ``source``, sorted; nothing else, and no link followed."""
    return sorted(_below(source), key=lambda packed: packed.name)


def write_archive(content: list[Packed], file: IO[bytes]) -> list[Packed]:
    """What could be packed; a file that vanished meanwhile is left out. Raises ConfigError for one we may not read."""
    done: list[Packed] = []
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for packed in content:
            try:
                _add(archive, packed)
            except FileNotFoundError:
                continue
            except OSError as error:
                hint = "make it readable for you, or move it out of the folder"
                raise ConfigError(
                    f"cannot read {packed.path}: {error.strerror}", operation="push", hint=hint
                ) from error
            done.append(packed)
    return done


def _below(source: Path) -> Iterator[Packed]:
    for path in source.rglob("*"):
        try:
            found = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode):
            yield Packed(path, path.relative_to(source).as_posix(), found)


def _add(archive: tarfile.TarFile, packed: Packed) -> None:
    member = tarfile.TarInfo(packed.name)
    member.uid = member.gid = _AGENT
    member.uname = member.gname = "agent"
    member.mode, member.mtime = packed.found.st_mode & 0o777, packed.found.st_mtime_ns / 10**9
    if stat.S_ISLNK(packed.found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, str(packed.path.readlink())
        archive.addfile(member)
    elif stat.S_ISDIR(packed.found.st_mode):
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    else:
        member.size = packed.found.st_size
        with os.fdopen(os.open(packed.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            archive.addfile(member, _Filled(file))


class _Filled:
    """A file that has the size it had, whatever is done to it while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, count: int = 0, /) -> bytes:
        """Zeros where the file has become shorter."""
        return self._file.read(count).ljust(count, b"\0")
