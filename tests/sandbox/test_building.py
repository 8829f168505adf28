"""What images are made of, without building one."""

from __future__ import annotations

import io
import shutil
import struct
import tarfile
from pathlib import Path

import pytest

from app.domain.errors import ImageError
from app.sandbox.apt_sources import debian_sources
from app.sandbox.disk_image import guest_files_tar
from app.sandbox.initramfs import Entry, build_initramfs, cpio
from app.sandbox.kernel import payload
from app.sandbox.qemu import kvm_usable
from app.sandbox.recipe import load_recipe, tree_hash

RECIPES = Path(__file__).parents[2] / "vm_images"


def test_the_base_recipe_loads() -> None:
    recipe = load_recipe(RECIPES, "base")
    assert "openssh-server" in recipe.packages and recipe.customize.exists() and len(recipe.key) == 12


def test_an_unknown_image_is_named() -> None:
    with pytest.raises(ImageError, match="'nope'"):
        load_recipe(RECIPES, "nope")


def test_every_change_of_a_recipe_is_another_image(tmp_path: Path) -> None:
    recipe = tmp_path / "base"
    shutil.copytree(RECIPES / "base", recipe)
    keys = {tree_hash(recipe)}
    (recipe / "customize.sh").write_text("exit 0\n")
    keys.add(tree_hash(recipe))
    (recipe / "recipe.toml").chmod(0o755)
    keys.add(tree_hash(recipe))
    (recipe / "customize.sh").rename(recipe / "other.sh")
    keys.add(tree_hash(recipe))
    assert len(keys) == 4


def test_byte_code_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    before = tree_hash(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert tree_hash(tmp_path) == before


def test_guest_files_belong_to_root() -> None:
    with tarfile.open(fileobj=io.BytesIO(guest_files_tar(RECIPES / "base" / "files"))) as tar:
        members = {member.name: member for member in tar}
    assert members["usr/lib/skerry/init"].mode == 0o755 and members["etc/inittab"].mode == 0o644
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 0)}


def test_a_cpio_archive_is_aligned_and_ends() -> None:
    data = cpio([Entry("init", 0o100755, b"abc")])
    assert len(data) % 4 == 0 and data.startswith(b"070701") and b"TRAILER!!!" in data


def test_drivers_come_after_what_they_need() -> None:
    root = root_tar(
        {
            "./bin/busybox": b"busybox",
            "./usr/lib/modules/6/modules.dep": b"k/virtio-blk.ko: k/virtio.ko k/ring.ko\n"
            b"k/virtio.ko: k/ring.ko\nk/ring.ko:\n",
            "./usr/lib/modules/6/modules.builtin": b"k/ext4.ko\n",
            "./usr/lib/modules/6/k/virtio-blk.ko": b"blk",
            "./usr/lib/modules/6/k/virtio.ko": b"virtio",
            "./usr/lib/modules/6/k/ring.ko": b"ring",
        }
    )
    assert build_initramfs(root, b"#!init", ["virtio_blk", "ext4"]).startswith(b"\x1f\x8b")
    with pytest.raises(ImageError, match="no module floppy"):
        build_initramfs(root, b"#!init", ["floppy"])


def root_tar(files: dict[str, bytes]) -> tarfile.TarFile:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return tarfile.open(fileobj=io.BytesIO(buffer.getvalue()))


def test_the_payload_of_a_kernel_is_found() -> None:
    compressed = b"\x02\x21\x4c\x18 compressed"
    image = bytearray(0x600)
    image[0x1F1] = 1  # one sector of set-up code behind the boot sector
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 16, len(compressed) + 4)
    image[1024 + 16 : 1024 + 16 + len(compressed)] = compressed
    assert payload(bytes(image)) == compressed


@pytest.mark.parametrize("image", [bytes(0x600), b"", b"HdrS" * 400])
def test_what_is_no_kernel_is_refused(image: bytes) -> None:
    with pytest.raises(ImageError):
        payload(image)


def test_only_debians_own_sources_are_used(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://mirror.example/debian bookworm main\n"
        "deb http://mirror.example/debian bookworm main contrib\n"
        "deb [arch=amd64 signed-by=/x.gpg] https://tools.example/linux bookworm main\n"
        "deb https://mirror.example/debian trixie main\n"
    )
    (tmp_path / "sources.list.d" / "a.sources").write_text(
        "Types: deb\n# a comment\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\n"
        "Components: main\n"
        "\nTypes: deb\nURIs: http://other.example/apt\nSuites: bookworm\nComponents: main\n"
        "\nEnabled: no\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n"
    )
    lines, stanzas = debian_sources("bookworm", tmp_path)
    assert lines == "deb http://mirror.example/debian bookworm main contrib\n"
    assert stanzas.count("URIs:") == 1 and "bookworm-security" in stanzas and "comment" not in stanzas


def test_a_kvm_device_without_processor_support_is_not_used(tmp_path: Path) -> None:
    device, cpuinfo = tmp_path / "kvm", tmp_path / "cpuinfo"
    device.touch()
    cpuinfo.write_text("flags\t\t: fpu sse4_2\n")
    assert not kvm_usable(cpuinfo, device)
    cpuinfo.write_text("flags\t\t: fpu svm sse4_2\n")
    assert kvm_usable(cpuinfo, device)
    assert not kvm_usable(cpuinfo, tmp_path / "none")
    assert not kvm_usable(tmp_path / "none", device)
