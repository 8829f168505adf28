"""The configuration Codex is given."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from app.domain.ports import Brief
from app.runtimes.codex import CodexRuntime
from app.runtimes.codex_config import GATE, config_toml, rehearsal_catalogue
from app.runtimes.factory import UnsupportedAgent, make_runtime
from tests.runtimes.host import HostSandbox

REAL = Brief(agent="a", model="gpt-5.5", provider='own "one"', agents_md="# a\n", gateway_url="http://127.0.0.1:8080")


def test_config_of_a_real_provider() -> None:
    config = tomllib.loads(config_toml(REAL, catalogue="/c.json"))
    assert config["model"] == "gpt-5.5" and "model_catalog_json" not in config
    provider = config["model_providers"]["skerry"]
    assert provider["base_url"] == "http://127.0.0.1:8080/openai/v1" and provider["wire_api"] == "responses"
    assert provider["name"] == 'own "one"'
    tools = config["mcp_servers"]["skerry"]
    assert tools["url"] == "http://127.0.0.1:8080/mcp" and tools["required"] and tools["tool_timeout_sec"] == 600
    assert (config["approval_policy"], config["sandbox_mode"]) == ("on-request", "danger-full-access")
    assert not any(config["features"].values()) and config["analytics"] == {"enabled": False}


def test_the_choice_of_the_model() -> None:
    open_choice = tomllib.loads(config_toml(Brief("a", None, "openai", "", "http://g"), catalogue="/c.json"))
    assert "model" not in open_choice
    rehearsed = tomllib.loads(config_toml(Brief("a", None, "rehearsal", "", "http://g"), catalogue="/c.json"))
    assert (rehearsed["model"], rehearsed["model_catalog_json"]) == ("rehearsal", "/c.json")
    assert [model["slug"] for model in json.loads(rehearsal_catalogue())["models"]] == ["rehearsal"]


async def test_prepare_is_idempotent_and_private(sandbox: HostSandbox) -> None:
    runtime = CodexRuntime(home=str(sandbox.home), workspace=str(sandbox.workspace))
    await runtime.prepare(sandbox, REAL)
    folder = sandbox.home / ".codex"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    await runtime.prepare(sandbox, REAL)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert before["AGENTS.md"] == b"# a\n"
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
    assert modes.pop(GATE) == 0o700 and set(modes.values()) == {0o600}
    assert list(sandbox.workspace.iterdir()) == []


def test_the_factory_names_what_it_knows() -> None:
    assert isinstance(make_runtime("codex"), CodexRuntime)
    assert make_runtime("codex") is not make_runtime("codex")
    with pytest.raises(UnsupportedAgent, match=r"claude-code.*supported types: .*codex") as caught:
        make_runtime("claude-code")
    assert not caught.value.retryable


def test_the_recipe_of_the_pack_is_exact_and_names_no_registry() -> None:
    recipe = Path(__file__).parents[2] / "vm_images" / "packs" / "codex"
    wanted = json.loads((recipe / "package.json").read_text())["dependencies"]
    locked = json.loads((recipe / "package-lock.json").read_text())["packages"]
    assert all(version[0].isdigit() for version in wanted.values())
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all("resolved" not in entry for entry in locked.values())
    assert all("integrity" in entry for path, entry in locked.items() if path)
