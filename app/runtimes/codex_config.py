"""The files Codex reads when it starts: config.toml, and the catalogue that declares the rehearsal's model."""

from __future__ import annotations

import json
import shlex
from typing import Final

from app.domain.ports import Brief

REHEARSAL: Final = "rehearsal"
"""Name of the provider, and of its model, when the model is scripted."""

PLACEHOLDER: Final = "inside-the-machine"
"""Stands where Codex wants a key: the gateway knows the agent by its door and adds the real one behind it."""

ASK: Final = "untrusted"
"""Codex's approval policy that asks before every command and every change of a file; the host answers. It can be given
with a turn only: in config.toml this version refuses the word."""

GATE: Final = "codex-that-asks"
"""The program that the adapter starts in Codex's place."""

_SWITCHED_OFF: Final = (
    # what needs an OpenAI account, a browser or the internet
    "apps",
    "plugins",
    "remote_plugin",
    "plugin_sharing",
    "plugin_discovery_prefetch",
    "api_key_model_discovery",
    "browser_use",
    "computer_use",
    "in_app_browser",
    "image_generation",
    "tool_suggest",
    "skill_mcp_dependency_install",
    "workspace_dependencies",
    # what Skerry does itself: its agents are declared, their goals and approvals are the host's
    "multi_agent",
    "goals",
    "guardian_approval",
    "hooks",
    # what costs time at the start or CPU for nothing on a local channel
    "shell_snapshot",
    "daemon_auto_start",
    "enable_request_compression",
)


def model_of(brief: Brief) -> str | None:
    """The model to name in the configuration; None leaves the choice to Codex."""
    return brief.model or (REHEARSAL if brief.provider == REHEARSAL else None)


def config_toml(brief: Brief, *, catalogue: str) -> str:
    """The whole of config.toml. ``catalogue`` is the path of the model catalogue, used in rehearsals only.

    Codex's own sandbox is off: the machine is the wall. It asks before each command, and the rules answer. Retries are
    many, so that a gateway that is away while the engine restarts is waited for instead of failing the turn.
    """
    model = model_of(brief)
    top: dict[str, str | int | bool] = {
        **({"model": model} if model else {}),
        **({"model_catalog_json": catalogue} if model == REHEARSAL else {}),
        "model_provider": "skerry",
        "approval_policy": "on-request",
        "sandbox_mode": "danger-full-access",
        "web_search": "disabled",
        "check_for_update_on_startup": False,
        "cli_auth_credentials_store": "file",
        "project_doc_max_bytes": 1_048_576,
        "include_apps_instructions": False,
        "suppress_unstable_features_warning": True,
    }
    return "\n".join(
        [
            _table("", top),
            _table("model_providers.skerry", _provider(brief)),
            _table("mcp_servers.skerry", _tools(brief)),
            _table("analytics", {"enabled": False}),
            _table("feedback", {"enabled": False}),
            _table("history", {"persistence": "none"}),
            _table("skills", {"include_instructions": False}),
            _table("skills.bundled", {"enabled": False}),
            _table("features", dict.fromkeys(_SWITCHED_OFF, False)),
        ]
    )


def gate(codex: str) -> str:
    """A script that starts ``codex`` so that it asks, although the adapter tells it with each turn not to.

    The adapter has no mode without a sandbox that asks: ``dangerFullAccess`` brings ``never``. The words are changed on
    their way; within a string of JSON the quotes stand behind backslashes, so that only the setting itself fits. What
    changes them is nobody's child: it would be taken for a command of Codex's, waited for, and ended when it is old.
    """
    change = f's/"approvalPolicy":"[a-z-]*"/"approvalPolicy":"{ASK}"/g'
    orphan = f"(sed -u {shlex.quote(change)} <&3 3<&- &)"
    return f'#!/bin/bash\nexec 3<&0\nexec {shlex.quote(codex)} "$@" < <( {orphan} ) 3<&-\n'


def rehearsal_catalogue() -> str:
    """A model catalogue with the scripted model alone: plain function tools, a short system prompt."""
    model = {
        "slug": REHEARSAL,
        "display_name": "Rehearsal",
        "description": "A scripted model",
        "base_instructions": "You are a coding agent at work in a virtual machine of your own.",
        "supported_reasoning_levels": [],
        "shell_type": "unified_exec",
        "visibility": "list",
        "supported_in_api": True,
        "priority": 1,
        "supports_reasoning_summaries": False,
        "support_verbosity": False,
        "supports_parallel_tool_calls": True,
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "context_window": 272_000,
        "experimental_supported_tools": [],
    }
    return json.dumps({"models": [model]}, indent=1) + "\n"


def _provider(brief: Brief) -> dict[str, str | int | bool]:
    return {
        "name": brief.provider,
        "base_url": f"{brief.gateway_url}/openai/v1",
        "wire_api": "responses",
        "experimental_bearer_token": PLACEHOLDER,
        "requires_openai_auth": False,
        "supports_websockets": False,
        "request_max_retries": 4,
        "stream_max_retries": 100,
        "stream_idle_timeout_ms": 900_000,
    }


def _tools(brief: Brief) -> dict[str, str | int | bool]:
    return {
        "url": f"{brief.gateway_url}/mcp",
        "required": True,  # an agent without its tools would work on, deaf and dumb
        "startup_timeout_sec": 120,
        "tool_timeout_sec": 600,
        "default_tools_approval_mode": "approve",
    }


def _table(name: str, values: dict[str, str | int | bool]) -> str:
    # A JSON string, number or boolean is written the same in TOML.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join([f"[{name}]"] * bool(name) + lines) + "\n"
