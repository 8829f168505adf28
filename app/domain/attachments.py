"""What may travel with a message: how many files, how large, under which names."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.errors import ActionRefused
from app.domain.text import check_text

MAX_FILES = 8
MAX_FILE_BYTES = 2**20
MAX_TOTAL_BYTES = 4 * 2**20
MAX_NAME_BYTES = 100

_OURS = ".skerry-draft"
"""Where a machine keeps files that are half written."""


def inbox_folder(message_id: str) -> str:
    """Where the files of a message lie in the recipient's machine."""
    return f"/workspace/.inbox/{message_id}"


def check_name(name: str) -> str:
    """The name of a file unchanged, or ActionRefused: names are refused, never made clean."""
    check_text(name, what="the name of an attachment", max_bytes=MAX_NAME_BYTES)
    wrong = ""
    if name in ("", ".", "..", _OURS) or name != name.strip():
        wrong = "is not the name of a file"
    elif "/" in name or "\n" in name or "\t" in name:
        wrong = "has a character that no name may have"
    elif name.startswith("-"):
        wrong = "begins with '-' and could be taken for an option"
    if wrong:
        raise _refused(f"the name {name!r} {wrong}", "rename the file")
    return name


def check_files(files: Mapping[str, bytes]) -> None:
    """Raise ActionRefused unless names, number and sizes of ``files`` are within bounds."""
    if len(files) > MAX_FILES:
        raise _refused(f"{len(files)} files are attached, {MAX_FILES} are allowed", "pack them into one archive")
    for name, data in files.items():
        check_name(name)
        if len(data) > MAX_FILE_BYTES:
            raise _refused(f"{name} has more than {MAX_FILE_BYTES} bytes", "attach a smaller file, or a part of it")
    if (total := sum(map(len, files.values()))) > MAX_TOTAL_BYTES:
        raise _refused(f"the files have {total} bytes together, {MAX_TOTAL_BYTES} are allowed", "attach fewer")


def check_path(path: str) -> str:
    """The path of a file of the workspace, absolute; ActionRefused when it leads anywhere else."""
    check_text(path, what="the path of an attachment", max_bytes=1024)
    absolute = path if path.startswith("/") else f"/workspace/{path}"
    parts = absolute.split("/")[1:]
    if parts[0] != "workspace" or len(parts) < 2 or any(part in ("", ".", "..") for part in parts):
        raise _refused(f"{path!r} is no plain path of a file below /workspace", "name it like report.md or src/main.py")
    check_name(parts[-1])
    return absolute


def _refused(message: str, hint: str) -> ActionRefused:
    return ActionRefused(message, operation="attach files", hint=hint)
