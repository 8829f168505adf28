"""Two builds of the same recipe are the same to the last byte. Takes some minutes and needs the network."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.sandbox.image import ImageBuilder

RECIPES = Path(__file__).parents[2] / "vm_images"


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("SKERRY_SOAK_ROUNDS"), reason="takes minutes; runs with the long soak")
@pytest.mark.timeout(1800)
def test_two_builds_are_the_same(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        image = ImageBuilder(tmp_path / name, RECIPES).ensure("base", lambda words: None)
        digests.append(json.loads((image.folder / "manifest.json").read_text("utf-8"))["sha256"])
    assert digests[0] == digests[1]
    assert {"rootfs.img", "vmlinux", "initramfs"} <= digests[0].keys()
