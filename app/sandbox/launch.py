"""How a machine comes to be ready: booted from its disk, or found running. Everything here blocks."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

from app.domain.errors import SandboxError, SandboxLost, SkerryError
from app.domain.machines import SandboxRequest
from app.domain.ports import Progress
from app.sandbox.channel import DOOR_PORT, Channel
from app.sandbox.control_port import ControlPort, SandboxTimeout
from app.sandbox.domain_xml import DomainSpec, PackDisk, RamFile, domain_xml
from app.sandbox.emulator import Emulator
from app.sandbox.hypervisor import Hypervisor
from app.sandbox.image import Image, ImageBuilder
from app.sandbox.machine import Machine
from app.sandbox.migration import load_state, save_state
from app.sandbox.notices import Notices
from app.sandbox.packs import Pack, PackBuilder
from app.sandbox.qemu import inspect_qemu
from app.sandbox.readiness import Requirement, meet
from app.sandbox.sandbox import LibvirtSandbox
from app.sandbox.strays import note_process
from app.sandbox.suspension import forget_saved_memory, load_from_disk, wake
from app.sandbox.template import WARM_UP, WARM_UP_SECONDS, Template, TemplateStore, template_key
from app.sandbox.transfer import TransferDisk

ANSWER_SECONDS = 20.0
_BOOT_SECONDS = 180.0
_THAW_SECONDS = 60.0
_HANG_UP_SECONDS = 0.5  # until the guest has noticed that nobody is connected
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Launcher:
    """``quiesce_seconds``: how long a command that an earlier engine left running may take to end."""

    hypervisor: Hypervisor
    images: ImageBuilder
    packs: PackBuilder
    quiesce_seconds: float
    templates: TemplateStore
    notices: Notices
    emulator: Emulator

    def adopt(self, machine: Machine, request: SandboxRequest, progress: Progress) -> LibvirtSandbox:
        """A machine an earlier engine left: wait for what still runs before its session is ended."""
        control, channel = _channels(machine, request, self.notices)
        wait = self.quiesce_seconds
        requirements = [
            Requirement("its agent answers", control.wait_answering, "the machine is started again"),
            Requirement(
                "what it runs has ended",
                lambda _: control.request("quiesce", wait + ANSWER_SECONDS, timeout=wait),
                "commands that run for very long are ended",
            ),
            Requirement("its clock is right", lambda s: control.request("clock", s, time=time.time()), ""),
            Requirement("it knows its limits", lambda s: _set_limits(control, request, s), ""),
            Requirement("SSH answers", channel.connect, f"see {machine.console_log}"),
        ]
        sandbox = self._sandbox(machine, "adopted", control, channel)
        return _ready(sandbox, requirements, _BOOT_SECONDS + wait, progress)

    def boot(self, machine: Machine, request: SandboxRequest, progress: Progress, why: str = "") -> LibvirtSandbox:
        """A suspended machine goes on, one with a disk starts on it, else it is cloned, or boots a fresh disk.

        ``why`` says what became of the machine that was there before.
        """
        if machine.exists and machine.saved_memory.exists():
            try:
                return self._go_on(machine, request, progress)
            except (SkerryError, OSError) as error:
                log.warning("%s could not go on from its saved memory", request.name, exc_info=True)
                why = f"its saved memory could not be used: {_words(error)}"
        packs = [self.packs.ensure(name, progress) for name in request.packs]
        if machine.stage == "making":
            machine.disk.unlink(missing_ok=True)
        if machine.exists:
            return self._start(machine, request, packs, _own_disk(machine, why), progress)
        return self._first_start(machine, request, packs, progress)

    def _first_start(
        self, machine: Machine, request: SandboxRequest, packs: list[Pack], progress: Progress
    ) -> LibvirtSandbox:
        image = self.images.ensure(request.image, progress)
        self.images.register(machine.folder.parent)
        try:
            return self._clone(machine, request, image, packs, progress)
        except (SkerryError, OSError) as error:
            log.warning("%s could not be restored from a template", request.name, exc_info=True)
            note = f"cold boot: {_words(error)}"
            machine.disk.unlink(missing_ok=True)
        machine.make(image, request.disk_gib)
        return self._start(machine, request, packs, note, progress)

    def _go_on(self, machine: Machine, request: SandboxRequest, progress: Progress) -> LibvirtSandbox:
        """Its packs and its template are those it was started with, whatever is wanted today."""
        progress(f"{request.name}: resuming the machine from disk")
        try:
            load_from_disk(self.hypervisor, machine)
            wake(self.hypervisor, machine)
            return self._greet(machine, request, "resumed from disk", _THAW_SECONDS, progress)
        except (SandboxError, OSError):
            self.hypervisor.destroy(request.name)
            raise

    def _clone(
        self, machine: Machine, request: SandboxRequest, image: Image, packs: list[Pack], progress: Progress
    ) -> LibvirtSandbox:
        template = self._template(machine.sockets, request, image, packs, progress)
        machine.make(image, request.disk_gib, template.disk)
        try:
            sandbox = self._start(machine, request, packs, "restored from the template", progress, template)
        except (SkerryError, OSError):
            self.templates.failed(template)
            raise
        self.templates.worked(template)
        return sandbox

    def _template(
        self, sockets: Path, request: SandboxRequest, image: Image, packs: list[Pack], progress: Progress
    ) -> Template:
        spec = domain_spec(Machine("template", Path("/"), sockets), image, request, packs, self.emulator)
        key = template_key(spec, request, image.key, [pack.key for pack in packs])
        name = f"template-{key}"
        throwaway = replace(request, name=name, hostname="template", door=sockets / "nobody")

        def build(work: Path) -> None:
            machine = Machine(name, work, sockets)
            self.hypervisor.destroy(name)  # what an engine that was killed may have left
            machine.make(image, request.disk_gib)
            try:
                self._freeze(machine, throwaway, packs, progress)
            finally:
                self.hypervisor.destroy(name)
                self.hypervisor.forget(name)
                machine.clear_sockets()

        return self.templates.ensure(key, request.memory_mib, build, progress)

    def _freeze(self, machine: Machine, request: SandboxRequest, packs: list[Pack], progress: Progress) -> None:
        draft = Template(machine.folder)
        draft.ram.touch(mode=0o600)
        sandbox = self._start(machine, request, packs, "", progress, draft, frozen=False)
        try:
            progress(f"{machine.name}: warming it up")
            warmed = asyncio.run(sandbox.run(WARM_UP, timeout=WARM_UP_SECONDS, cwd="/"))
            log.info("%s: %s", machine.name, warmed.output.decode(errors="replace"))
            asyncio.run(sandbox.settle())
        finally:
            sandbox.let_go()
        time.sleep(_HANG_UP_SECONDS)
        self.hypervisor.pause(machine.name)
        save_state(self.hypervisor, machine.name, draft.state)

    def _start(
        self,
        machine: Machine,
        request: SandboxRequest,
        packs: list[Pack],
        note: str,
        progress: Progress,
        template: Template | None = None,
        *,
        frozen: bool = True,
    ) -> LibvirtSandbox:
        """Boot it, or thaw ``template``; one that is not yet ``frozen`` is booted with its RAM in the template."""
        thaw = template is not None and frozen
        ram = None if template is None else RamFile(template.ram, clone=frozen)
        forget_saved_memory(machine)
        if machine.stage != "making":
            machine.enter("starting")
        machine.note_packs([pack.folder for pack in packs])
        machine.clear_sockets()
        machine.empty_transfer()
        progress(f"{request.name}: {'restoring' if thaw else 'starting'} the machine{_without_kvm()}")
        spec = replace(domain_spec(machine, machine.image(), request, packs, self.emulator), ram=ram)
        try:
            pid = self.hypervisor.create(domain_xml(spec), paused=thaw)
            if pid is not None:
                note_process(machine.folder, pid)
            if template is not None and thaw:
                load_state(self.hypervisor, request.name, template.state)
                self.hypervisor.resume(request.name)
            return self._greet(machine, request, note, _THAW_SECONDS if thaw else _BOOT_SECONDS, progress)
        except (SandboxError, OSError):
            self.hypervisor.destroy(request.name)
            raise

    def _greet(
        self, machine: Machine, request: SandboxRequest, note: str, seconds: float, progress: Progress
    ) -> LibvirtSandbox:
        """Make it itself and connect to it."""
        control, channel = _channels(machine, request, self.notices)
        sandbox = self._sandbox(machine, note, control, channel)
        _ready(sandbox, _boot_requirements(machine, request, control, channel), seconds, progress)
        machine.enter("running")
        return sandbox

    def _sandbox(self, machine: Machine, note: str, control: ControlPort, channel: Channel) -> LibvirtSandbox:
        name = machine.name
        return LibvirtSandbox(
            name,
            note,
            control,
            channel,
            TransferDisk(machine.transfer),
            machine.mirror_manifests,
            lambda: self.hypervisor.is_alive(name),
            lambda notice: self.notices.tell(name, notice),
        )


def domain_spec(
    machine: Machine, image: Image, request: SandboxRequest, packs: list[Pack], emulator: Emulator
) -> DomainSpec:
    """The domain of a machine on this host. Raises HostError without QEMU."""
    qemu = inspect_qemu()
    return DomainSpec(
        name=request.name,
        cpus=request.cpus,
        memory_mib=request.memory_mib,
        emulator=emulator.path,
        machine=qemu.machine,
        accelerator=qemu.accelerator,
        kernel=image.kernel,
        initramfs=image.initramfs,
        disk=machine.disk,
        packs=[PackDisk(pack.name, pack.disk) for pack in packs],
        control_socket=machine.control_socket,
        ssh_socket=machine.ssh_socket,
        console_log=machine.console_log,
        serial_socket=machine.serial_socket,
        transfer=machine.transfer,
        free_page_reporting=emulator.keeps_templates_whole,
    )


def _boot_requirements(
    machine: Machine, request: SandboxRequest, control: ControlPort, channel: Channel
) -> list[Requirement]:
    log = f"see {machine.console_log}"
    return [
        Requirement("the machine boots", control.wait_answering, log),
        Requirement("it is itself", lambda s: control.request("personalise", s, **identity(machine, request)), log),
        Requirement(f"SSH answers, port {DOOR_PORT} leads to its door", channel.connect, log),
        Requirement("its clock is right", lambda s: control.request("clock", s, time=time.time()), log),
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


def _channels(machine: Machine, request: SandboxRequest, notices: Notices) -> tuple[ControlPort, Channel]:
    channel, ear = Channel(machine.ssh_socket, machine.keys(), request.door), notices.ear(machine.name)

    def heard(event: dict[str, object]) -> None:
        channel.heard(event)
        ear(event)

    return ControlPort(machine.control_socket, heard), channel


def _set_limits(control: ControlPort, request: SandboxRequest, seconds: float) -> None:
    try:
        control.request("limits", seconds, **_limits(request))
    except (SandboxLost, SandboxTimeout):
        raise
    except SandboxError:  # made by an earlier version of Skerry: no reason to end what runs in it
        log.info("the machine does not know limits", exc_info=True)


def _limits(request: SandboxRequest) -> dict[str, object]:
    return {"processes": request.processes, "command_seconds": request.command_seconds}


def identity(machine: Machine, request: SandboxRequest) -> dict[str, object]:
    """What makes a machine itself: the fields of the control port's ``personalise``."""
    keys = machine.keys()
    return {
        "seed": secrets.token_hex(64),
        "time": time.time(),
        "hostname": request.hostname,
        "machine_id": hashlib.sha256(keys.pinned).hexdigest()[:32],
        "hostkey": keys.host_key_file.hex(),
        "authorized_key": keys.authorized_key,
        "limits": _limits(request),
    }


def _own_disk(machine: Machine, why: str) -> str:
    """The note of a machine that is started on its own disk."""
    if not why and machine.stage == "running":
        why = "it had been lost (its process was gone)"
    if not why and machine.stage == "starting":
        why = "an earlier start was broken off"
    return f"started again on its own disk: {why}" if why else "started on its own disk"


def _words(error: Exception) -> str:
    return error.message if isinstance(error, SkerryError) else str(error)


def _without_kvm() -> str:
    return " (no KVM: emulated)" if inspect_qemu().accelerator == "tcg" else ""
