"""What may be thrown away of the folder of images, and what never."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from app.sandbox.disk_image import make_overlay
from app.sandbox.image import ImageBuilder
from app.sandbox.packs import PackBuilder
from app.sandbox.stock import TEMPLATE_DAYS, Stocked, prune, remove, take_stock

RECIPES = Path(__file__).parents[2] / "vm_images"
OLD = "0123456789ab"


@pytest.fixture
def images(tmp_path: Path) -> ImageBuilder:
    """Today's image and pack, as if they were built, and older ones of both; machines are in ``machines``."""
    builder = ImageBuilder(tmp_path / "images", RECIPES)
    packs = PackBuilder(builder.folder, RECIPES / "packs")
    for name in (today(builder), f"base-{OLD}", today_pack(packs), f"pack-codex-{OLD}"):
        folder = builder.folder / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        (folder / "rootfs.img").write_bytes(b"x" * 65536)
    return builder


def today(images: ImageBuilder) -> str:
    from app.sandbox.recipe import load_recipe

    return f"base-{load_recipe(RECIPES, 'base').key}"


def today_pack(packs: PackBuilder) -> str:
    from app.sandbox.recipe import tree_hash

    return f"pack-codex-{tree_hash(RECIPES / 'packs' / 'codex')}"


def stock(images: ImageBuilder, *, everything: bool = False) -> dict[str, Stocked]:
    packs = PackBuilder(images.folder, RECIPES / "packs")
    return {item.folder.name: item for item in take_stock(images, packs, everything=everything)}


def expendable(images: ImageBuilder, *, everything: bool = False) -> set[str]:
    return {name for name, item in stock(images, everything=everything).items() if item.expendable}


def template(images: ImageBuilder, key: str, image: str, days: float = 0.0) -> Path:
    folder = images.folder / f"template-{key}"
    folder.mkdir()
    make_overlay(images.folder / image / "rootfs.img", folder / "disk.qcow2", 1)
    os.utime(folder, (time.time() - days * 86_400,) * 2)
    return folder


def machine(images: ImageBuilder, machines: Path, name: str, backing: Path, packs: tuple[str, ...] = ()) -> Path:
    folder = machines / name
    folder.mkdir(parents=True)
    kind = "qcow2" if backing.suffix == ".qcow2" else "raw"
    make_overlay(backing, folder / "disk.qcow2", 1, kind)
    record = {"folder": str(images.folder / today(images)), "packs": [str(images.folder / pack) for pack in packs]}
    (folder / "machine.json").write_text(json.dumps(record))
    images.register(machines)
    return folder


def test_only_what_is_old_and_unused_can_go(images: ImageBuilder) -> None:
    assert expendable(images) == {f"base-{OLD}", f"pack-codex-{OLD}"}
    found = stock(images)[f"base-{OLD}"]
    assert (found.kind, found.name, found.current, found.machines) == ("image", "base", False, ())
    assert found.bytes >= 65536 and found.verdict == "of an older recipe"


def test_all_takes_todays_too_where_no_machine_needs_it(images: ImageBuilder, tmp_path: Path) -> None:
    machine(images, tmp_path / "machines", "dev", images.folder / f"base-{OLD}" / "rootfs.img")
    left = set(stock(images)) - expendable(images, everything=True)
    assert left == {f"base-{OLD}", today(images)}, "its record names today's image, its disk the old one"


def test_a_machine_needs_its_template_its_image_and_its_packs(images: ImageBuilder, tmp_path: Path) -> None:
    kept = template(images, "aaaaaaaaaaaa", f"base-{OLD}")
    machine(images, tmp_path / "machines", "team.dev", kept / "disk.qcow2", (f"pack-codex-{OLD}",))
    assert expendable(images) == set()
    assert stock(images)[kept.name].verdict == "in use by team.dev"


def test_machines_of_another_skerry_count(images: ImageBuilder, tmp_path: Path) -> None:
    machine(images, tmp_path / "one" / "machines", "a", images.folder / today(images) / "rootfs.img")
    machine(images, tmp_path / "two" / "machines", "b", images.folder / f"base-{OLD}" / "rootfs.img")
    assert f"base-{OLD}" not in expendable(images)
    shutil.rmtree(tmp_path / "two")
    assert f"base-{OLD}" in expendable(images)


def test_templates_go_with_their_image_or_when_nobody_cloned_them_for_long(images: ImageBuilder) -> None:
    template(images, "aaaaaaaaaaaa", f"base-{OLD}")
    template(images, "bbbbbbbbbbbb", today(images), days=TEMPLATE_DAYS + 1)
    template(images, "cccccccccccc", today(images), days=TEMPLATE_DAYS - 1)
    templates = {name for name in expendable(images) if name.startswith("template")}
    assert templates == {"template-aaaaaaaaaaaa", "template-bbbbbbbbbbbb"}


def test_what_a_cut_off_build_left_can_go_and_one_that_goes_on_stays(images: ImageBuilder) -> None:
    cut = images.folder / f".base-{OLD}.build-xyz"
    living = images.folder / ".base-ffffffffffff.build-abc"
    for folder in (cut, living):
        folder.mkdir()
    with (images.folder / ".base-ffffffffffff.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = stock(images)
        assert found[cut.name].expendable and not found[living.name].expendable
        assert remove(images.folder, found[living.name]) == "it is being built just now"
        assert living.exists()


def test_what_is_not_ours_is_not_even_listed(images: ImageBuilder, tmp_path: Path) -> None:
    for name in ("photos", "base-123", "notes-0123456789ab", ".cache"):
        (images.folder / name).mkdir()
    (images.folder / "pack-x-0123456789ab").symlink_to(tmp_path)
    names = set(stock(images))
    assert not names & {"photos", "base-123", "notes-0123456789ab", ".cache", "pack-x-0123456789ab"}


def test_pruning_frees_what_it_says_and_leaves_the_rest(images: ImageBuilder) -> None:
    told: list[tuple[str, str]] = []
    doomed = [item for item in stock(images).values() if item.expendable]
    freed = prune(images.folder, doomed, lambda item, why: told.append((item.folder.name, why)))
    assert freed == sum(item.bytes for item in doomed) > 0
    assert told == [(f"base-{OLD}", ""), (f"pack-codex-{OLD}", "")]
    assert set(stock(images)) == {today(images), today_pack(PackBuilder(images.folder, RECIPES / "packs"))}
    assert not list(images.folder.glob(".*.removed-*"))


def test_a_machine_made_meanwhile_keeps_what_it_stands_on(images: ImageBuilder, tmp_path: Path) -> None:
    doomed = stock(images)[f"base-{OLD}"]
    machine(images, tmp_path / "machines", "late", doomed.folder / "rootfs.img")
    assert remove(images.folder, doomed) == "late began to use it"
    assert doomed.folder.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every folder")
def test_machines_that_cannot_be_seen_keep_everything(images: ImageBuilder, tmp_path: Path) -> None:
    machines = tmp_path / "machines"
    machine(images, machines, "dev", images.folder / f"base-{OLD}" / "rootfs.img")
    machines.chmod(0)
    with pytest.raises(Exception, match="cannot be read"):
        stock(images)
