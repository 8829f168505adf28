"""Files that travel with messages: out of the sender's machine, into the recipient's. Machines are hostile."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence

from app.domain.attachments import MAX_FILE_BYTES, MAX_FILES, check_path, inbox_folder
from app.domain.envelope import Attachment, Envelope
from app.domain.errors import ActionRefused, NotFound, SandboxError
from app.domain.ports import Sandbox
from app.store.attachments import AttachmentStore

LOOK_SECONDS = 20.0


async def collect(sandbox: Sandbox | None, paths: Sequence[str], store: AttachmentStore) -> tuple[Attachment, ...]:
    """Keep files of a machine's workspace. Raises ActionRefused in words for the sender."""
    places = [check_path(path.strip()) for path in paths]
    if not places:
        return ()
    if sandbox is None:
        raise _refused("your machine cannot be read now", "try again")
    names = [place.rsplit("/", 1)[1] for place in places]
    if len(set(names)) < len(names):
        raise _refused("two of the files have the same name", "rename one of them")
    if len(places) > MAX_FILES:
        raise _refused(f"{len(places)} files are attached, {MAX_FILES} are allowed", "pack them into one archive")
    try:
        files = {name: await _read(sandbox, place) for name, place in zip(names, places, strict=True)}
    except SandboxError as error:
        raise _refused(error.message, "attach files that are there") from None
    return await asyncio.to_thread(store.keep, files)


async def _read(sandbox: Sandbox, place: str) -> bytes:
    quoted = shlex.quote(place)
    # The machine may lie here; what is read below is bounded whatever it says, and is a file of its own in any case.
    look = f'test -f {quoted} && test "$(realpath -e -- {quoted})" = {quoted}'
    result = await sandbox.run(look, timeout=LOOK_SECONDS, output_limit=1024)
    if result.exit_status != 0:
        raise _refused(f"{place} is not a regular file, or a link leads to it", "attach a plain file of /workspace")
    data = await sandbox.read_file(place, limit=MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _refused(f"{place} has more than {MAX_FILE_BYTES} bytes", "attach a smaller file, or a part of it")
    return data


async def hand_over(sandbox: Sandbox | None, envelope: Envelope, store: AttachmentStore) -> str:
    """Put a message's files into its recipient's machine; what kept them from it, in words, or nothing."""
    if not envelope.attachments:
        return ""
    if sandbox is None:
        return "your machine was not there"
    try:
        files = {item.name: await asyncio.to_thread(store.read, item) for item in envelope.attachments}
        await sandbox.write_files(inbox_folder(envelope.id), files)
    except (SandboxError, NotFound) as error:
        return error.message
    return ""


def _refused(message: str, hint: str) -> ActionRefused:
    return ActionRefused(message, operation="attach files", hint=hint)
