"""The libvirt domain of one machine: a pure function from what is wanted to XML.

There is no network interface, no shared folder, no USB, no display: two virtio-serial channels are all that leads
in or out. Every device has its address on the root bus, so that the same request always gives the same machine.
"""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.sandbox.qemu import Accelerator

CONTROL_PORT = "skerry.ctl"
SSH_PORT = "skerry.ssh"
_TRANSFER_SLOT = 0x6
_FIRST_PACK_SLOT = 0x8

_KERNEL_FLAGS = (
    "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off tsc=reliable noreplace-smp nokaslr audit=0 apparmor=0 "
    "selinux=0 ipv6.disable=1 nowatchdog 8250.nr_uarts=1 random.trust_cpu=on cryptomgr.notests raid=noautodetect "
    "i8042.noaux i8042.nokbd i8042.nopnp lsm= rcupdate.rcu_expedited=1"
)
# QEMU finds translated code again at the same address only: with random ones each start of a program is translated.
_EMULATED_FLAGS = "norandmaps"


@dataclass(frozen=True, slots=True)
class PackDisk:
    """A read-only disk with a tool pack; the guest mounts it by name."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class RamFile:
    """RAM that is a file: written to by a template, copied on write by a clone, which waits for its state."""

    path: Path
    clone: bool


@dataclass(frozen=True, slots=True)
class DomainSpec:
    """Everything the XML depends on."""

    name: str
    cpus: int
    memory_mib: int
    emulator: str
    machine: str
    accelerator: Accelerator
    kernel: Path
    initramfs: Path
    disk: Path
    packs: Sequence[PackDisk]
    control_socket: Path
    ssh_socket: Path
    console_log: Path
    serial_socket: Path
    transfer: Path
    """Raw disk over which large things go in and out."""
    ram: RamFile | None = None
    free_page_reporting: bool = True
    """Whether memory that the machine frees goes back to this host."""


def domain_uuid(name: str) -> str:
    """Stable over restarts, different for every machine."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"skerry:{name}"))


def kernel_flags(accelerator: Accelerator) -> str:
    """The kernel's command line."""
    return f"{_KERNEL_FLAGS} {_EMULATED_FLAGS}" if accelerator == "tcg" else _KERNEL_FLAGS


def domain_xml(spec: DomainSpec) -> str:
    """The domain as libvirt wants it, indented."""
    domain = ET.Element("domain", type="qemu" if spec.accelerator == "tcg" else "kvm")
    _text(domain, "name", spec.name)
    _text(domain, "uuid", domain_uuid(spec.name))
    _text(domain, "memory", str(spec.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(spec.cpus))
    _boot(domain, spec)
    _processor(domain, spec)
    for event, action in (("poweroff", "destroy"), ("reboot", "destroy"), ("crash", "destroy")):
        _text(domain, f"on_{event}", action)
    _devices(ET.SubElement(domain, "devices"), spec)
    if spec.ram is not None:
        _ram_file(domain, spec.ram, spec.memory_mib)
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def _ram_file(domain: ET.Element, ram: RamFile, memory_mib: int) -> None:
    """libvirt has no words for copy-on-write RAM; a second -machine adds to the first."""
    path = str(ram.path).replace(",", ",,")
    share = "off" if ram.clone else "on"
    words = ["-object", f"memory-backend-file,id=tm,size={memory_mib}M,mem-path={path},share={share}"]
    words += ["-machine", "memory-backend=tm", *(["-incoming", "defer"] if ram.clone else [])]
    domain.set("xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0")
    line = ET.SubElement(domain, "qemu:commandline")
    for word in words:
        ET.SubElement(line, "qemu:arg", value=word)


def own_memory(xml: str) -> str:
    """The domain with a memory of its own instead of one that shares a template's.

    A saved memory is whole, so that nothing is left to share; read into a copy-on-write mapping, each page of zeros in
    it would take the place of a page of the template, and the machine all the memory it may ever have.
    """
    ET.register_namespace("qemu", "http://libvirt.org/schemas/domain/qemu/1.0")
    domain = ET.fromstring(xml)  # noqa: S314  # libvirt wrote it
    for argument in domain.iter("{http://libvirt.org/schemas/domain/qemu/1.0}arg"):
        value = argument.get("value", "")
        if value.startswith("memory-backend-file,"):
            size = value.partition("size=")[2].partition(",")[0]
            argument.set("value", f"memory-backend-ram,id=tm,size={size}")
    return ET.tostring(domain, encoding="unicode")


def _boot(domain: ET.Element, spec: DomainSpec) -> None:
    os = ET.SubElement(domain, "os")
    _text(os, "type", "hvm", arch="x86_64", machine=spec.machine)
    _text(os, "kernel", str(spec.kernel))
    _text(os, "initrd", str(spec.initramfs))
    _text(os, "cmdline", kernel_flags(spec.accelerator))


def _processor(domain: ET.Element, spec: DomainSpec) -> None:
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    if spec.accelerator == "kvm":
        ET.SubElement(domain, "cpu", mode="host-passthrough", migratable="on")
    else:
        # Newer vector instructions are slower in emulation. Translations: 1 GiB a machine by default, and with 64 MiB
        # Codex and Node push each other out (docs/decisions/0010).
        _text(ET.SubElement(features, "tcg"), "tb-cache", "256", unit="MiB")
        cpu = ET.SubElement(domain, "cpu", mode="custom", match="exact", check="none")
        _text(cpu, "model", "Nehalem", fallback="forbid")
    ET.SubElement(domain, "clock", offset="utc")


def _devices(devices: ET.Element, spec: DomainSpec) -> None:
    _text(devices, "emulator", spec.emulator)
    _disk(devices, "vda", "qcow2", spec.disk, "root", slot=0x3, read_only=False)
    for number, pack in enumerate(spec.packs):
        slot = _FIRST_PACK_SLOT + number
        _disk(devices, f"vd{chr(ord('b') + number)}", "raw", pack.path, f"pack-{pack.name}", slot=slot, read_only=True)
    _disk(devices, "vdz", "raw", spec.transfer, "transfer", slot=_TRANSFER_SLOT, read_only=False)
    ET.SubElement(devices, "controller", type="usb", model="none")
    ET.SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
    _address(ET.SubElement(devices, "controller", type="virtio-serial", index="0"), 0x4)
    serial = ET.SubElement(devices, "serial", type="unix")
    ET.SubElement(serial, "source", mode="bind", path=str(spec.serial_socket))
    ET.SubElement(serial, "log", file=str(spec.console_log), append="on")
    ET.SubElement(ET.SubElement(serial, "target", type="isa-serial", port="0"), "model", name="isa-serial")
    _channel(devices, spec.control_socket, CONTROL_PORT, 1)
    _channel(devices, spec.ssh_socket, SSH_PORT, 2)
    rng = ET.SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    _address(rng, 0x5)
    reporting = "on" if spec.free_page_reporting else "off"
    _address(ET.SubElement(devices, "memballoon", model="virtio", freePageReporting=reporting), 0x7)


def _disk(devices: ET.Element, target: str, kind: str, path: Path, serial: str, *, slot: int, read_only: bool) -> None:
    disk = ET.SubElement(devices, "disk", type="file", device="disk")
    driver = {"name": "qemu", "type": kind, "discard": "unmap"}
    if not read_only:
        driver["cache"] = "writeback"
    ET.SubElement(disk, "driver", driver)
    ET.SubElement(disk, "source", file=str(path))
    ET.SubElement(disk, "target", dev=target, bus="virtio")
    if read_only:
        ET.SubElement(disk, "readonly")
    _text(disk, "serial", serial)
    _address(disk, slot)


def _channel(devices: ET.Element, socket: Path, name: str, port: int) -> None:
    channel = ET.SubElement(devices, "channel", type="unix")
    ET.SubElement(channel, "source", mode="bind", path=str(socket))
    ET.SubElement(channel, "target", type="virtio", name=name)
    ET.SubElement(channel, "address", type="virtio-serial", controller="0", bus="0", port=str(port))


def _address(device: ET.Element, slot: int) -> None:
    ET.SubElement(device, "address", type="pci", domain="0x0000", bus="0x00", slot=f"{slot:#04x}", function="0x0")


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element
