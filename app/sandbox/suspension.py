"""A machine's memory on the disk, and going on from there: exactly once.

A saved memory fits its disk only until its processors run again; going on from it a second time would let an old
memory write over a newer disk. So it is removed, durably, before they run, and by whatever else starts the machine.
"""

from __future__ import annotations

from app.sandbox.host_tools import require_space
from app.sandbox.hypervisor import Hypervisor
from app.sandbox.machine import Machine, sync
from app.sandbox.migration import send_all_ram
from app.sandbox.strays import note_process

_SPACE_BEYOND_MEMORY = 2**28


def save_to_disk(hypervisor: Hypervisor, machine: Machine) -> None:
    """Save memory and state and end the process. Raises HostError without room, SandboxError when QEMU cannot.

    What is not whole never has the name of a saved memory.
    """
    size = hypervisor.monitor(machine.name, "query-memory-size-summary", {})["base-memory"]
    require_space(machine.folder, size + _SPACE_BEYOND_MEMORY, "suspend the machine")
    draft = machine.saved_memory_draft
    draft.unlink(missing_ok=True)
    try:
        send_all_ram(hypervisor, machine.name)
        hypervisor.save(machine.name, draft)
        draft.chmod(0o600)
        sync(draft)
        draft.rename(machine.saved_memory)
        sync(machine.folder)
    finally:
        draft.unlink(missing_ok=True)


def load_from_disk(hypervisor: Hypervisor, machine: Machine) -> None:
    """Bring it back, its processors still standing; ``wake`` lets them run. Raises SandboxError."""
    machine.clear_sockets()
    pid = hypervisor.restore(machine.name, machine.saved_memory)
    if pid is not None:
        note_process(machine.folder, pid)


def wake(hypervisor: Hypervisor, machine: Machine) -> None:
    """Let a machine whose processors stand go on: from now on no saved memory fits its disk. Raises SandboxError."""
    forget_saved_memory(machine)
    hypervisor.resume(machine.name)


def forget_saved_memory(machine: Machine) -> None:
    """Remove it for good, even if this host loses its power now."""
    if machine.saved_memory.exists():
        machine.saved_memory.unlink()
        sync(machine.folder)
