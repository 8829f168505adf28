"""One large file in or out of a machine, whole or not at all. Blocks."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from posixpath import dirname

from app.domain.errors import SandboxError
from app.sandbox.transfer import Transfer

_PIECE = 2**20


def send_file(transfer: Transfer, source: Path, path: str) -> None:
    """Copy a file of the host to ``path``, where it belongs to the agent. Raises SandboxError."""
    size, place, draft = source.stat().st_size, shlex.quote(path), shlex.quote(f"{path}.draft")
    command = (
        f"mkdir -p {shlex.quote(dirname(path) or '.')} && cat > {draft} && test $(stat -c %s {draft}) -ge {size} "
        f"&& truncate -s {size} {draft} && mv -T {draft} {place}"
    )
    with source.open("rb") as file:
        transfer.send(command, size, lambda stream: shutil.copyfileobj(file, stream, _PIECE))


def receive_file(transfer: Transfer, path: str, size: int, destination: Path) -> int:
    """The first ``size`` bytes of a file of the machine, as ``destination``. Raises SandboxError."""
    draft, left = destination.with_name(f"{destination.name}.draft"), size
    try:
        with transfer.receive(f"head -c {size} -- {shlex.quote(path)}", size) as read, draft.open("wb") as file:
            draft.chmod(0o600)
            while left and (data := read(min(left, _PIECE))):
                file.write(data)
                left -= len(data)
        if left:
            raise SandboxError(f"{path} became shorter while it was read", operation="receive a file")
        draft.replace(destination)
    finally:
        draft.unlink(missing_ok=True)
    return size
