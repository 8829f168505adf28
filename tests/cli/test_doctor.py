"""``skerry doctor`` on this machine, and where things are missing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.config import Paths
from app.engine.doctor import examine
from app.sandbox.host_checks import check_inotify, check_kvm, check_tools
from tests.cli.conftest import Skerry


def test_every_check_says_something(skerry: Skerry) -> None:
    done = skerry("doctor", "--json")
    told = json.loads(done.stdout)
    assert {check["state"] for check in told["checks"]} <= {"ok", "warning", "failed"}
    assert told["ok"] == (done.returncode == 0) and all(check["reason"] for check in told["checks"])


def test_a_missing_program_has_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = check_tools()
    assert found.state == "failed" and "mmdebstrap" in found.remedy


def test_kvm(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags : svm")
    assert "modprobe kvm_amd" in check_kvm(tmp_path / "none", cpuinfo).remedy
    cpuinfo.write_text("flags : hypervisor")
    assert "nested" in check_kvm(tmp_path / "none", cpuinfo).reason


def test_narrow_limits(tmp_path: Path) -> None:
    (tmp_path / "max_user_watches").write_text("100\n")
    assert "max_user_watches" in check_inotify(tmp_path).remedy


def test_a_damaged_journal_and_no_display(paths: Paths, tmp_path: Path) -> None:
    paths.journal_db.write_bytes(b"no database" * 100)
    found = {finding.name: finding for finding in examine(paths, tmp_path, {**os.environ, "DISPLAY": ""})}
    assert found["journal"].state == "failed" and str(paths.journal_db) in found["journal"].remedy


def test_a_broken_team_is_named_and_hides_nothing_else(skerry: Skerry, tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text("agents: [{id: X}]\n")
    found = {finding.name: finding for finding in examine(Paths.from_environment(), tmp_path)}
    assert found["keys"].state == "warning" and "agents.yaml" in found["keys"].reason
    assert found["git"].state == "ok" and found["Temporal"].state == "ok"


def test_a_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path / "file" / "home"))
    found = {finding.name: finding for finding in examine(Paths.from_environment(), tmp_path)}
    assert found["journal"].state == "failed" and "chown" in found["journal"].remedy


def test_walls_name_what_a_host_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKERRY_IMAGES", str(tmp_path / "images"))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {finding.name: finding for finding in examine(Paths.from_environment(), tmp_path)}
    assert found["walls"].state == "warning" and "templates" in found["walls"].reason
    assert not (tmp_path / "images").exists(), "looking changes nothing"
