"""What a machine lacks is said to whoever starts an engine on it, with the remedy."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from app.config import Paths
from app.control import Control
from app.domain.errors import EngineError, HostError
from app.engine.instance import lock_holder
from app.sandbox.host_tools import find_tool, require_space
from app.sandbox.qemu import kvm_usable


@pytest.mark.slow
async def test_without_qemu_the_engine_says_so(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("setpriv", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError) as caught:
        await Control.connect(paths)
    assert caught.value.message == "the engine did not start: qemu-system-x86_64 is not installed"
    assert caught.value.hint == "apt install qemu-system-x86"
    assert lock_holder(paths.engine_lock) is None
    assert not paths.engine_ready.exists()


def test_a_full_disk_is_named_in_numbers(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"GiB left and 1073741824\.0 GiB are needed \(free disk space"):
        require_space(tmp_path, 2**60, "build")


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match=r"qemu-img is not installed \(apt install qemu-utils\)"):
        find_tool("qemu-img")


@pytest.mark.parametrize(
    ("flags", "device", "usable"),
    [
        ("flags: fpu vmx", True, True),
        ("flags: fpu svm", True, True),
        ("flags: fpu", True, False),
        ("vmx", False, False),
    ],
)
def test_kvm_counts_when_processor_and_device_agree(tmp_path: Path, flags: str, device: bool, usable: bool) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    if device:
        (tmp_path / "kvm").touch()
    assert kvm_usable(tmp_path / "cpuinfo", tmp_path / "kvm") is usable


def test_the_interpreter_is_one_we_support() -> None:
    assert (3, 11) <= sys.version_info[:2] < (3, 14)
