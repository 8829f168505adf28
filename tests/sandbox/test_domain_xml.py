from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from app.sandbox.domain_xml import DomainSpec, PackDisk, RamFile, domain_uuid, domain_xml, own_memory

GOLDEN = Path(__file__).parent / "golden" / "domain.xml"
SPEC = DomainSpec(
    name="dev-agent",
    cpus=2,
    memory_mib=1024,
    emulator="/usr/bin/qemu-system-x86_64",
    machine="pc-q35-7.2",
    accelerator="tcg",
    kernel=Path("/images/base/vmlinux"),
    initramfs=Path("/images/base/initramfs"),
    disk=Path("/state/dev/disk.qcow2"),
    packs=[PackDisk("codex", Path("/images/pack-codex/pack.img"))],
    control_socket=Path("/run/s/1.c"),
    ssh_socket=Path("/run/s/1.s"),
    console_log=Path("/state/dev/console.log"),
    serial_socket=Path("/run/skerry/m/abc.t"),
    transfer=Path("/state/dev/transfer.img"),
)


def test_it_is_the_golden_file() -> None:
    assert domain_xml(SPEC) == GOLDEN.read_text("utf-8")


def test_nothing_leads_out_but_the_two_channels() -> None:
    devices = ET.fromstring(domain_xml(SPEC)).find("devices")
    assert devices is not None
    kinds = {device.tag for device in devices}
    assert kinds == {"emulator", "disk", "controller", "serial", "channel", "rng", "memballoon"}
    assert len(devices.findall("channel")) == 2


def test_packs_are_read_only_and_the_disk_is_not() -> None:
    disks = ET.fromstring(domain_xml(SPEC)).findall("devices/disk")
    assert [(d.findtext("serial"), d.find("readonly") is not None) for d in disks] == [
        ("root", False),
        ("pack-codex", True),
        ("transfer", False),
    ]


def test_kvm_uses_the_processor_of_the_host() -> None:
    domain = ET.fromstring(domain_xml(replace(SPEC, accelerator="kvm")))
    cpu = domain.find("cpu")
    assert domain.get("type") == "kvm" and cpu is not None and cpu.get("mode") == "host-passthrough"
    assert "norandmaps" not in domain.findtext("os/cmdline", ""), "only emulation gains by fixed addresses"


def test_the_ram_of_a_clone_is_copied_on_write() -> None:
    def words(ram: RamFile) -> list[str | None]:
        domain = ET.fromstring(domain_xml(replace(SPEC, ram=ram)))
        return [word.get("value") for word in domain.iter("{http://libvirt.org/schemas/domain/qemu/1.0}arg")]

    clone, template = words(RamFile(Path("/t,1/ram"), clone=True)), words(RamFile(Path("/t/ram"), clone=False))
    assert clone[1] == "memory-backend-file,id=tm,size=1024M,mem-path=/t,,1/ram,share=off"
    assert clone[2:] == ["-machine", "memory-backend=tm", "-incoming", "defer"]
    assert template[1:] == ["memory-backend-file,id=tm,size=1024M,mem-path=/t/ram,share=on", *clone[2:4]]


def test_a_memory_of_its_own_has_the_size_and_shares_nothing() -> None:
    xml = own_memory(domain_xml(replace(SPEC, ram=RamFile(Path("/t,1/ram"), clone=True))))
    words = [word.get("value") for word in ET.fromstring(xml).iter("{http://libvirt.org/schemas/domain/qemu/1.0}arg")]
    assert words[:2] == ["-object", "memory-backend-ram,id=tm,size=1024M"] and "/t,1/ram" not in xml
    plain = domain_xml(SPEC)
    assert ET.canonicalize(own_memory(plain)) == ET.canonicalize(plain), "one that was booted has one already"


def test_hostile_names_stay_text() -> None:
    domain = ET.fromstring(domain_xml(replace(SPEC, console_log=Path("/a<b>&'\"/c"))))
    source = domain.find("devices/serial/log")
    assert source is not None and source.get("file") == "/a<b>&'\"/c"


def test_the_uuid_is_the_machines_own() -> None:
    assert domain_uuid("a") == domain_uuid("a") != domain_uuid("b")
