"""Which keys are missing, without a key in the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import load_project
from app.engine.credentials import missing_credentials
from tests.conftest import WriteProject

TEAM = """
providers:
  openai: {credential: "%s"}
  local: {api: openai, base_url: "http://127.0.0.1:11434/v1"}
agents:
  - {id: one, type: codex}
  - {id: two, type: codex}
  - {id: three, type: codex, provider: local}
"""


def test_every_provider_is_asked_once(write_project: WriteProject) -> None:
    (missing,) = missing_credentials(load_project(write_project(TEAM % "env:MY_KEY")))
    assert (missing.provider, missing.reference, missing.agents) == ("openai", "env:MY_KEY", ("one", "two"))
    assert missing.problem == "the environment variable MY_KEY is not set"
    assert missing.remedy == "export MY_KEY=… and try again"


def test_keys_that_are_there(write_project: WriteProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    assert missing_credentials(load_project(write_project(TEAM % "env:MY_KEY"))) == []
    file = tmp_path / "key"
    file.write_text("sk-very-secret")
    file.chmod(0o644)
    (missing,) = missing_credentials(load_project(write_project(TEAM % f"file:{file}")))
    assert missing.remedy == f"chmod 600 {file}"
    assert "sk-very-secret" not in repr(missing)


def test_a_running_engine_has_an_environment_of_its_own(write_project: WriteProject) -> None:
    assert missing_credentials(load_project(write_project(TEAM % "env:MY_KEY")), engine_runs=True) == []
    assert missing_credentials(load_project(write_project(TEAM % "file:/no/key")), engine_runs=True) != []
