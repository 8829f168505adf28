"""Virtual machines as values: what is asked for, what is told of one, what came out of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.domain.events import LimitName

MachineState = Literal["absent", "stopped", "running", "paused", "suspended"]
"""``paused``: its processors stand still and its memory stays; ``suspended``: memory and state are on the disk."""


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """A wanted virtual machine. ``name`` is unique on this host and stable over restarts of the engine."""

    name: str
    hostname: str
    image: str
    packs: tuple[str, ...]
    cpus: int
    memory_mib: int
    disk_gib: int
    door: Path
    """Unix socket of this agent's door of the gateway: the one place the machine can reach."""
    processes: int = 1024
    """Processes and threads its commands may have together."""
    command_seconds: float = 600.0
    """How long one command of the agent's program may take before the machine ends it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a machine, or this host, tells of it unasked: a limit that was reached, in words for a person."""

    limit: LimitName
    detail: str


Notify = Callable[[Notice], None]
"""Called on the event loop."""


def unheard(notice: Notice) -> None:
    """The ``Notify`` of who does not want to know."""


@dataclass(frozen=True, slots=True)
class MachineUsage:
    """What a machine takes of this host now."""

    cpu_seconds: float
    """Processor time since its process started."""
    memory_bytes: int
    """Proportional set size: pages shared with other machines count by their share."""
    disk_bytes: int
    """What its own folder takes on the host's disk, images and templates not counted."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Something left over that was taken away: what (domain, process, disk, socket, file), its name, and why."""

    what: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a host found when it started: machines that live, that were lost, and what it removed."""

    living: Sequence[str] = ()
    lost: Sequence[str] = ()
    """Machines of living agents that should run or be suspended and do not any more."""
    removed: Sequence[Removed] = ()


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended. ``exit_status`` is None when it was killed for its time."""

    exit_status: int | None
    output: bytes
    """stdout and stderr as they came, the first ``output_limit`` bytes."""
    dropped: int
    """Bytes beyond the limit that were read and thrown away."""
    seconds: float
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """What came out of a workspace, and what was refused, each with the reason."""

    files: int
    bytes: int
    removed: int = 0
    refused: Sequence[tuple[str, str]] = field(default=())
