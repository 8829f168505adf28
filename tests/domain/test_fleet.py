"""agents.yaml as types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from app.domain.errors import NotFound
from app.domain.fleet import Fleet

ROOT = Path(__file__).resolve().parents[2]


def fleet(*agents: dict[str, Any], **more: Any) -> Fleet:
    return Fleet.model_validate({"agents": [{"type": "codex", **agent} for agent in agents], **more})


def test_the_blueprints_team_loads_unchanged() -> None:
    team = Fleet.model_validate(yaml.safe_load((ROOT / "agents.yaml").read_text()))
    assert [agent.id for agent in team.agents] == ["dev-agent", "test-agent", "product-owner-agent"]
    dev = team.agent("dev-agent")
    assert dev.direct_communication == ("test-agent",)
    assert dev.rules_file == "agents/dev-agent/rules.md"
    assert dev.initial_instructions == "Implement feature X according to the blueprint.\n"
    assert (dev.packs, dev.provider_name, team.provider_of(dev).api) == (("codex",), "openai", "openai")


def test_topology_is_directed_and_the_user_is_always_reachable() -> None:
    team = fleet(
        {"id": "a", "direct_communication": ["b"]},
        {"id": "b", "indirect_communication": "deny"},
        {"id": "c", "indirect_communication": "allow"},
    )
    assert team.channel("a", "b") == "direct"
    assert team.channel("b", "a") == "deny"
    assert team.channel("a", "c") == "ask"
    assert team.channel("c", "a") == "allow"
    assert team.channel("b", "user") == "direct"
    assert team.channel("user", "b") == "direct"


@pytest.mark.parametrize(("sender", "recipient"), [("a", "zz"), ("zz", "a"), ("user", "zz")])
def test_channel_to_nobody(sender: str, recipient: str) -> None:
    with pytest.raises(NotFound, match="zz"):
        fleet({"id": "a"}).channel(sender, recipient)


def test_not_found_names_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean dev-agent"):
        fleet({"id": "dev-agent"}).agent("dev-agnet")


def test_defaults_are_merged_and_the_agents_own_value_wins() -> None:
    team = fleet(
        {"id": "a", "limits": {"turns": 3}, "network": {"allow": ["pypi.org"]}},
        {"id": "b"},
        defaults={"limits": {"turns": 9, "stall": "90s"}, "network": {"allow": ["example.org"]}, "model": "m"},
    )
    assert (team.agent("a").limits.turns, team.agent("a").limits.stall) == (3, 90.0)
    assert (team.agent("b").limits.turns, team.agent("b").model) == (9, "m")
    assert team.agent("a").network.allow == ("pypi.org",)
    assert team.agent("b").network.allow == ("example.org",)


def test_a_type_may_come_from_the_defaults() -> None:
    team = Fleet.model_validate({"defaults": {"type": "anthropic"}, "agents": [{"id": "a"}]})
    assert team.agents[0].provider_name == "anthropic"


def test_builtin_providers_can_be_changed_in_part() -> None:
    team = fleet({"id": "a"}, providers={"openai": {"base_url": "http://127.0.0.1:1"}})
    provider = team.provider_of(team.agents[0])
    assert (provider.base_url, provider.credential) == ("http://127.0.0.1:1", "env:OPENAI_API_KEY")


def test_a_local_provider_needs_no_credential() -> None:
    local = {"api": "openai", "base_url": "http://127.0.0.1:11434/v1"}
    team = fleet({"id": "a", "provider": "local"}, providers={"local": local})
    assert team.provider_of(team.agents[0]).credential is None


def test_sizes_of_a_machine() -> None:
    machine = fleet({"id": "a", "sandbox": {"memory": "1GiB", "disk": "8.5GiB"}}).agents[0].sandbox
    assert (machine.memory_mib, machine.disk_gib) == (1024, 9)


def test_a_fleet_survives_its_own_json() -> None:
    team = fleet(
        {"id": "a", "direct_communication": ["b"]}, {"id": "b"}, defaults={"model": "m"}, project={"name": "x"}
    )
    assert Fleet.model_validate_json(team.model_dump_json()) == team


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        ({"id": "Dev"}, "pattern"),
        ({"id": "a" * 41}, "pattern"),
        ({"id": "1a"}, "pattern"),
        ({"id": "user"}, "reserved"),
        ({"id": "a", "direct_communication": ["a"]}, "itself"),
        ({"id": "a", "direct_communication": ["b"]}, "no agent 'b'"),
        ({"id": "a", "provider": "nobody"}, "no provider"),
        (
            {"id": "a", "provider": "anthropic"},
            "type codex speaks openai; the provider 'anthropic': anthropic",
        ),
        ({"id": "a", "command": ["x"]}, "type acp only"),
        ({"id": "a", "type": "acp"}, "needs 'command'"),
        ({"id": "a", "rules_file": "/etc/passwd"}, "leaves"),
        ({"id": "a", "rules_file": "x/../../y"}, "leaves"),
        ({"id": "a", "memory_file": "~/x"}, "leaves"),
        ({"id": "a", "sandbox_path": ""}, "expected a path"),
        ({"id": "a", "network": {"allow": ["https://pypi.org/"]}}, "host name"),
        ({"id": "a", "network": {"allow": ["*"]}}, "host name"),
        ({"id": "a", "limits": {"turns": 0}}, "greater than or equal to 1"),
        ({"id": "a", "limits": {"turns": True}}, "valid integer"),
        ({"id": "a", "limits": {"stall": "-1s"}}, "duration"),
        ({"id": "a", "limits": {"stall": 0}}, "greater than 0"),
        ({"id": "a", "sandbox": {"memory": "1 elephant"}}, "size"),
        ({"id": "a", "colour": "red"}, "Extra inputs"),
    ],
)
def test_what_is_refused(agent: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        fleet(agent)


def test_two_agents_never_share_memory_or_sandbox() -> None:
    with pytest.raises(ValidationError, match="is in the sandbox_path of b: it would write it"):
        fleet({"id": "a", "memory_file": "agents/b/sandbox/memory.md"}, {"id": "b"})
    with pytest.raises(ValidationError, match="'w/rules.md' is in the sandbox_path of a"):
        fleet({"id": "a", "rules_file": "./w/rules.md", "sandbox_path": "w/"})
    with pytest.raises(ValidationError, match="is in the rules_file of b"):
        fleet({"id": "a", "memory_file": "agents/b/rules.md"}, {"id": "b"})
    with pytest.raises(ValidationError, match="overlaps with the memory_file of a"):
        fleet({"id": "a", "memory_file": "m.md"}, {"id": "b", "memory_file": "./m.md"})
    with pytest.raises(ValidationError, match="overlaps with the sandbox_path of a"):
        fleet({"id": "a", "sandbox_path": "work"}, {"id": "b", "sandbox_path": "work/b"})


def test_a_fleet_without_agents_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1"):
        Fleet.model_validate({"agents": []})


def test_a_fleet_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(fleet({"id": "a"}).agents[0], "model", "other")  # noqa: B010  (mypy knows that it is frozen)
