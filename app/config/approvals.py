"""approvals.yaml: what the user has allowed for always, beside agents.yaml, for a person to read and to edit."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.config.complaints import Complaint, ProjectInvalid, shown
from app.config.marks import Marked, parse
from app.domain.errors import ConfigError
from app.domain.fleet import Fleet
from app.domain.topology import Loc

FILE_NAME = "approvals.yaml"
_KEY = "direct_communication"
_COMMANDS = "commands"
_HEADER = """\
# What you have allowed for always, in answer to your agents. Skerry adds to this file; you may edit it.
#
# direct_communication: whom an agent may write to besides those that agents.yaml lists for it. Take a line out and
# that agent asks you again. It counts from the next start of the team, or from 'skerry reload'.
#
# commands: what an agent may run without asking, whatever its rules.md asks about; never what it denies. '*' stands for
# anything, '\\*' for a star. A change counts from the agent's next command.
"""
Channels = Mapping[str, tuple[str, ...]]
"""Recipients by sender."""
Commands = Mapping[str, tuple[str, ...]]
"""Commands by agent."""


def load_approvals(root: Path) -> Channels:
    """The channels that the file in ``root`` opens; none without a file.

    Raises ProjectInvalid with every mistake and its line, or ConfigError when the file cannot be read.
    """
    return _part(root, _KEY)


def load_commands(root: Path) -> Commands:
    """The commands that the file in ``root`` allows; none without a file. Raises as ``load_approvals`` does."""
    return _part(root, _COMMANDS)


def _part(root: Path, key: str) -> Mapping[str, tuple[str, ...]]:
    file = root / FILE_NAME
    try:
        marked = parse(file.read_bytes(), file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", operation="read the approvals") from error
    complaints = list(_complaints(marked, file))
    if complaints:
        raise ProjectInvalid(complaints)
    found = (marked.data or {}).get(key) or {}
    return {name: tuple(items) for name, items in found.items()}


def with_approvals(fleet: Fleet, root: Path) -> Fleet:
    """``fleet`` with the channels of the file in ``root``; those of agents that are no longer there do not count."""
    channels = load_approvals(root)
    if not channels:
        return fleet
    there = {agent.id for agent in fleet.agents}
    agents = []
    for agent in fleet.agents:
        more = [name for name in channels.get(agent.id, ()) if name in there - {agent.id}]
        merged = tuple(dict.fromkeys((*agent.direct_communication, *more)))
        agents.append(agent.model_copy(update={_KEY: merged}))
    return fleet.model_copy(update={"agents": tuple(agents)})


def open_channel(root: Path, sender: str, recipient: str) -> bool:
    """Let ``sender`` write to ``recipient`` from now on; false when the file says so already.

    The file is replaced as a whole. Raises ProjectInvalid for one with mistakes, ConfigError when it cannot be written.
    """
    channels = {name: list(recipients) for name, recipients in load_approvals(root).items()}
    if recipient in channels.get(sender, ()):
        return False
    channels.setdefault(sender, []).append(recipient)
    _write(root, channels, load_commands(root))
    return True


def allow_commands(root: Path, agent: str, commands: Sequence[str]) -> bool:
    """Let ``agent`` run these commands from now on; false when the file says so already. Raises as ``open_channel``."""
    known = {name: list(items) for name, items in load_commands(root).items()}
    new = [item for item in commands if item not in known.get(agent, ())]
    if not new:
        return False
    known.setdefault(agent, []).extend(new)
    _write(root, load_approvals(root), known)
    return True


def _write(root: Path, channels: Mapping[str, Sequence[str]], commands: Mapping[str, Sequence[str]]) -> None:
    lines = [f"{_KEY}:"] * bool(channels)
    lines += [f"  {name}: [{', '.join(recipients)}]" for name, recipients in sorted(channels.items())]
    lines += [f"{_COMMANDS}:"] * bool(commands)
    for name, items in sorted(commands.items()):  # a string of JSON is one of YAML, too
        lines += [f"  {name}:", *(f"    - {json.dumps(item, ensure_ascii=False)}" for item in items)]
    try:
        _replace(root / FILE_NAME, "\n".join([_HEADER, *lines, ""]))
    except OSError as error:
        raise ConfigError(
            f"cannot write {root / FILE_NAME}: {error.strerror}", operation="keep the approval", hint="make it writable"
        ) from error


def _complaints(marked: Marked, file: Path) -> Iterator[Complaint]:
    data = marked.data
    if data is None:
        return
    if not isinstance(data, dict):
        yield _complaint(marked, file, (), "expected a mapping (lines of 'key: value')", data)
        return
    for key, value in data.items():
        if key not in (_KEY, _COMMANDS):
            yield _complaint(marked, file, (key,), "this key is not known", key, f"valid: {_KEY}, {_COMMANDS}")
        elif value is not None and not isinstance(value, dict):
            words = f"expected a mapping of agents to lists of {'agents' if key == _KEY else 'commands'}"
            yield _complaint(marked, file, (key,), words, value)
        else:
            yield from _wrong_lists(marked, file, key, value or {})


def _wrong_lists(marked: Marked, file: Path, key: str, lists: Mapping[str, Any]) -> Iterator[Complaint]:
    example, item = ("[bob, carol]", "the id of an agent") if key == _KEY else ('["git push"]', "a command")
    for agent, items in lists.items():
        if not isinstance(items, list):
            yield _complaint(marked, file, (key, agent), f"expected a list such as {example}", items)
            continue
        for place, name in enumerate(items):
            if not isinstance(name, str):
                yield _complaint(marked, file, (key, agent, place), f"expected {item}", name)


def _complaint(marked: Marked, file: Path, loc: Loc, message: str, found: object, advice: str = "") -> Complaint:
    mark = marked.at(loc)
    path = ".".join(str(part) for part in loc)
    return Complaint(file, mark.line, mark.column, path, message, shown(found), advice)


def _replace(file: Path, text: str) -> None:
    descriptor, draft = tempfile.mkstemp(prefix=f".{FILE_NAME}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        Path(draft).replace(file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(draft).unlink()
