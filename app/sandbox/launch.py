"""How a machine comes to be ready: booted from its disk, or found running. Everything here blocks."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass

from app.domain.errors import SandboxError
from app.domain.ports import Progress, SandboxRequest
from app.sandbox.channel import DOOR_PORT, Channel
from app.sandbox.control_port import ControlPort
from app.sandbox.domain_xml import DomainSpec, PackDisk, domain_xml
from app.sandbox.hypervisor import Hypervisor
from app.sandbox.image import ImageBuilder
from app.sandbox.machine import Machine
from app.sandbox.packs import Pack, PackBuilder
from app.sandbox.qemu import inspect_qemu
from app.sandbox.readiness import Requirement, meet
from app.sandbox.sandbox import LibvirtSandbox
from app.sandbox.strays import note_process

ANSWER_SECONDS = 20.0
_BOOT_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Launcher:
    """``quiesce_seconds``: how long a command that an earlier engine left running may take to end."""

    hypervisor: Hypervisor
    images: ImageBuilder
    packs: PackBuilder
    quiesce_seconds: float

    def adopt(self, machine: Machine, request: SandboxRequest, progress: Progress) -> LibvirtSandbox:
        """A machine an earlier engine left: wait for what still runs before its session is ended."""
        control, channel = _channels(machine, request)
        wait = self.quiesce_seconds
        requirements = [
            Requirement("its agent answers", lambda s: control.request("ping", s), "the machine is started again"),
            Requirement(
                "what it runs has ended",
                lambda _: control.request("quiesce", wait + ANSWER_SECONDS, timeout=wait),
                "commands that run for very long are ended",
            ),
            Requirement("its clock is right", lambda s: control.request("clock", s, time=time.time()), ""),
            Requirement("SSH answers", channel.connect, f"see {machine.console_log}"),
        ]
        sandbox = self._sandbox(machine, "adopted", control, channel)
        return _ready(sandbox, requirements, _BOOT_SECONDS + wait, progress)

    def boot(self, machine: Machine, request: SandboxRequest, progress: Progress) -> LibvirtSandbox:
        """Start it on its own disk; one without a disk is given a fresh one."""
        note = "started on its own disk" if machine.exists else "cold boot: no template yet"
        packs = [self.packs.ensure(name, progress) for name in request.packs]
        if not machine.exists:
            machine.make(self.images.ensure(request.image, progress), request.disk_gib)
        machine.clear_sockets()
        progress(f"{request.name}: starting the machine{_without_kvm()}")
        pid = self.hypervisor.create(domain_xml(domain_spec(machine, request, packs)))
        if pid is not None:
            note_process(machine.folder, pid)
        control, channel = _channels(machine, request)
        try:
            sandbox = self._sandbox(machine, note, control, channel)
            return _ready(sandbox, _boot_requirements(machine, request, control, channel), _BOOT_SECONDS, progress)
        except SandboxError:
            self.hypervisor.destroy(request.name)
            raise

    def _sandbox(self, machine: Machine, note: str, control: ControlPort, channel: Channel) -> LibvirtSandbox:
        name = machine.name
        return LibvirtSandbox(
            name, note, control, channel, machine.mirror_manifest, lambda: self.hypervisor.is_running(name)
        )


def domain_spec(machine: Machine, request: SandboxRequest, packs: list[Pack]) -> DomainSpec:
    """The domain of a machine on this host. Raises HostError without QEMU, SandboxError without its image."""
    image, qemu = machine.image(), inspect_qemu()
    return DomainSpec(
        name=request.name,
        cpus=request.cpus,
        memory_mib=request.memory_mib,
        emulator=qemu.path,
        machine=qemu.machine,
        accelerator=qemu.accelerator,
        kernel=image.kernel,
        initramfs=image.initramfs,
        disk=machine.disk,
        packs=[PackDisk(pack.name, pack.disk) for pack in packs],
        control_socket=machine.control_socket,
        ssh_socket=machine.ssh_socket,
        console_log=machine.console_log,
    )


def _boot_requirements(
    machine: Machine, request: SandboxRequest, control: ControlPort, channel: Channel
) -> list[Requirement]:
    log = f"see {machine.console_log}"
    return [
        Requirement("the machine boots", lambda s: control.request("ping", s), log),
        Requirement("it is itself", lambda s: control.request("personalise", s, **_identity(machine, request)), log),
        Requirement(f"SSH answers, port {DOOR_PORT} leads to its door", channel.connect, log),
    ]


def _ready(
    sandbox: LibvirtSandbox, requirements: list[Requirement], seconds: float, progress: Progress
) -> LibvirtSandbox:
    try:
        meet(requirements, seconds, lambda words: progress(f"{sandbox.name}: {words}"))
    except SandboxError:
        sandbox.let_go()
        raise
    return sandbox


def _channels(machine: Machine, request: SandboxRequest) -> tuple[ControlPort, Channel]:
    channel = Channel(machine.ssh_socket, machine.keys(), request.door)
    return ControlPort(machine.control_socket, channel.heard), channel


def _identity(machine: Machine, request: SandboxRequest) -> dict[str, object]:
    keys = machine.keys()
    return {
        "seed": secrets.token_hex(64),
        "time": time.time(),
        "hostname": request.hostname,
        "machine_id": uuid.uuid4().hex,
        "hostkey": keys.host_key_file.hex(),
        "authorized_key": keys.authorized_key,
    }


def _without_kvm() -> str:
    return " (no KVM: emulated)" if inspect_qemu().accelerator == "tcg" else ""
