"""The files that travel with messages, kept once under the hash of their content, private to the user."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.config import make_private
from app.domain.attachments import MAX_FILE_BYTES, check_files, check_name
from app.domain.envelope import Attachment
from app.domain.errors import ActionRefused, JournalError, NotFound


class AttachmentStore:
    """A folder of files named by SHA-256. May be used from any thread and from several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, files: Mapping[str, bytes]) -> tuple[Attachment, ...]:
        """Keep files by name; durable when it returns. Raises ActionRefused, or JournalError for a full disk."""
        check_files(files)
        return tuple(self._keep(name, data) for name, data in files.items())

    def keep_attachments(self, paths: Sequence[Path]) -> tuple[Attachment, ...]:
        """Keep regular files of this host. Raises ActionRefused naming the file that cannot be attached."""
        files: dict[str, bytes] = {}
        for path in paths:
            if check_name(path.name) in files:
                raise _refused(f"two files are named {path.name}", "rename one of them")
            files[path.name] = _read(path)
        return self.keep(files)

    def read(self, attachment: Attachment) -> bytes:
        """The content. Raises NotFound when it is gone, or no longer what was kept."""
        try:
            data = self._place(attachment.sha256).read_bytes()
        except OSError as error:
            raise NotFound(f"{attachment.name} is not kept: {error.strerror}", operation="read attachment") from error
        if hashlib.sha256(data).hexdigest() != attachment.sha256:
            raise NotFound(f"{attachment.name} was changed on this host's disk", operation="read attachment")
        return data

    def _keep(self, name: str, data: bytes) -> Attachment:
        digest = hashlib.sha256(data).hexdigest()
        place = self._place(digest)
        if not place.exists():
            try:
                self._write(place, data)
            except OSError as error:
                raise JournalError(
                    f"{name} cannot be kept: {error.strerror}", operation="keep attachment", hint="check the disk"
                ) from error
        return Attachment(name=name, size=len(data), sha256=digest)

    def _write(self, place: Path, data: bytes) -> None:
        make_private(self._folder)
        make_private(place.parent)
        descriptor, draft = tempfile.mkstemp(prefix=".draft-", dir=place.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(place)
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(draft).unlink()

    def _place(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest


def _read(path: Path) -> bytes:
    try:
        # Never blocks on a pipe, never follows a link in the last part, and looks at what was really opened.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(f"{path} cannot be read: {error.strerror}", "attach a regular file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refused(f"{path} is not a regular file", "pack a folder into an archive first")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _refused(message: str, hint: str) -> ActionRefused:
    return ActionRefused(message, operation="attach files", hint=hint)
