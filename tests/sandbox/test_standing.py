"""What prune must leave alone."""

from __future__ import annotations

import json
from pathlib import Path

from app.sandbox.disk_image import make_overlay
from app.sandbox.machine import Machine
from app.sandbox.standing import backing_chain, files_in_use


def chain(tmp_path: Path) -> tuple[Machine, Path, Path]:
    image, template = tmp_path / "images" / "base-1", tmp_path / "images" / "template-1"
    machine = Machine("m", tmp_path / "machines" / "m", tmp_path)
    for folder in (image, template, machine.folder):
        folder.mkdir(parents=True)
    (image / "rootfs.img").write_bytes(b"\0" * 2**20)
    make_overlay(image / "rootfs.img", template / "disk.qcow2", 1)
    make_overlay(template / "disk.qcow2", machine.disk, 1, "qcow2")
    return machine, image, template


def test_a_machine_needs_its_image_its_template_and_its_packs(tmp_path: Path) -> None:
    machine, image, template = chain(tmp_path)
    assert backing_chain(machine.disk) == [template / "disk.qcow2", image / "rootfs.img"]
    record = {"name": "m", "image": "base", "key": "1", "folder": str(image)}
    (machine.folder / "machine.json").write_text(json.dumps(record))
    pack = tmp_path / "images" / "pack-1"
    machine.note_packs([pack])
    assert files_in_use(tmp_path / "machines") == {image, template, pack}
    machine.disk.unlink()
    assert files_in_use(tmp_path / "machines") == set(), "no disk, nothing to stand on"


def test_a_broken_record_frees_nothing_that_the_disk_names(tmp_path: Path) -> None:
    machine, image, template = chain(tmp_path)
    for text in ("", "[]", '{"folder": 3}', '{"packs": ["x"]}'):
        (machine.folder / "machine.json").write_text(text)
        assert files_in_use(tmp_path / "machines") == {image, template}
    (template / "disk.qcow2").write_bytes(b"QFI\xfb garbage")
    assert files_in_use(tmp_path / "machines") == {template}
    assert files_in_use(tmp_path / "nowhere") == set()
