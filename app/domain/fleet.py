"""agents.yaml as types: the fleet, its agents, and who may write to whom."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.domain.budget import Budget
from app.domain.errors import NotFound
from app.domain.quantities import Duration, Size
from app.domain.topology import TopologyInvalid, topology_problems

AgentType = Literal["codex", "claude-code", "acp", "openai", "anthropic"]
Indirect = Literal["ask", "deny", "allow"]
Channel = Literal["direct", "ask", "deny", "allow"]

DEFAULT_PROVIDERS: Mapping[str, Mapping[str, str]] = {
    "openai": {"api": "openai", "base_url": "https://api.openai.com/v1", "credential": "env:OPENAI_API_KEY"},
    "anthropic": {"api": "anthropic", "base_url": "https://api.anthropic.com", "credential": "env:ANTHROPIC_API_KEY"},
}
"""Providers every fleet has; a fleet's own entry of the same name replaces single values."""

_PROVIDER_OF_TYPE: Mapping[AgentType, str] = {
    "codex": "openai",
    "claude-code": "anthropic",
    "acp": "openai",
    "openai": "openai",
    "anthropic": "anthropic",
}
STEPWISE_TYPES: frozenset[str] = frozenset({"openai", "anthropic"})
"""Agents without a program of their own: Skerry asks the model and carries out its calls, each as a step."""
PACKS_OF_TYPE: Mapping[str, tuple[str, ...]] = {"codex": ("codex",), "claude-code": ("claude-code",)}
_CREDENTIAL = r"^(env:[A-Za-z_][A-Za-z0-9_]*|keyring:[^\s:]+|file:/\S+)$"
_HOST_PATTERN = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9]\d{0,4})?|\[[0-9a-f:]+\](:[1-9]\d{0,4})?")


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path.strip() or "\0" in path:
        raise ValueError("expected a path")
    if path.startswith(("/", "~")) or ".." in parts:
        raise ValueError("the path leaves the project's folder; give one below it, without '..'")
    return str(PurePosixPath(path))


def _host(pattern: str) -> str:
    if _HOST_PATTERN.fullmatch(pattern.lower()) is None:
        raise ValueError("expected a host name such as pypi.org, *.npmjs.org or 127.0.0.1:8080")
    return pattern.lower()


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
InsidePath = Annotated[str, AfterValidator(_inside)]
HostPattern = Annotated[str, AfterValidator(_host)]
Count = Annotated[int, Field(strict=True, ge=1)]
Text = Annotated[str, Field(max_length=20_000)]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProjectSpec(_Spec):
    """What the team works on."""

    name: Annotated[str, Field(min_length=1, max_length=80)] | None = Field(
        default=None, description="Shown in the window; the folder's name when missing."
    )
    repository: str | None = Field(
        default=None, description="Git repository; each agent starts on a clone, on the branch skerry/<agent id>."
    )


class ProviderSpec(_Spec):
    """Where model calls go, and which reference names the key. The key itself is never written here."""

    api: Literal["openai", "openai-chat", "anthropic"] = Field(
        description="The protocol it speaks; openai-chat: Chat Completions alone, as many local servers."
    )
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    credential: Annotated[str, Field(pattern=_CREDENTIAL)] | None = Field(
        default=None, description="env:VARIABLE, keyring:name or file:/path; nothing for a local model without a key."
    )


class SandboxSpec(_Spec):
    """The virtual machine of an agent. Sizes are bytes."""

    image: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] = "base"
    cpus: Annotated[int, Field(strict=True, ge=1, le=64)] = 1
    memory: Size = 1536 * 1024**2
    disk: Size = 8 * 1024**3

    @property
    def memory_mib(self) -> int:
        """Memory in MiB, rounded up."""
        return math.ceil(self.memory / 1024**2)

    @property
    def disk_gib(self) -> int:
        """Virtual disk size in GiB, rounded up."""
        return math.ceil(self.disk / 1024**3)


class NetworkPolicy(_Spec):
    """What the machine may reach through the gateway; nothing unless it is listed."""

    allow: tuple[HostPattern, ...] = Field(default=(), description="Host names; '*.' at the start matches subdomains.")


class Limits(_Spec):
    """Where an agent is stopped or asked about. Times are seconds, ``output`` is bytes."""

    turns: Count = 200
    tokens: Count = 2_000_000
    cost_usd: Annotated[float, BeforeValidator(_not_bool), Field(ge=0, allow_inf_nan=False)] = 5.0
    wall_clock: Duration = 4 * 3600.0
    command: Duration = 600.0
    processes: Annotated[int, Field(strict=True, ge=32, le=30_000)] = Field(
        default=1024, description="Processes and threads its commands may have at the same time."
    )
    output: Size = 256 * 1024
    stall: Duration = Field(default=600.0, description="Time without progress after which the user is asked.")
    repeated_failures: Annotated[int, Field(strict=True, ge=2, le=1000)] = Field(
        default=3, description="The same action failing so often in a row: the user is asked."
    )
    ping_pong: Annotated[int, Field(strict=True, ge=4, le=1000)] = Field(
        default=8, description="Short messages to and fro between two agents: the user is asked."
    )
    provider_down: Duration = Field(
        default=600.0, description="Time without an answer of the model provider after which the user is asked."
    )
    usage_limit_resumes: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        default=5, description="How often in a row the agent goes on by itself after a usage limit of its provider."
    )

    @property
    def budget(self) -> Budget:
        """What the agent may use up in a run."""
        return Budget(turns=self.turns, tokens=self.tokens, cost_usd=self.cost_usd, wall_clock=self.wall_clock)


class AgentDefaults(_Spec):
    """Any agent key but ``id``: taken where an agent does not say otherwise."""

    type: AgentType | None = None
    command: tuple[str, ...] = Field(default=(), description="Program and arguments; for type acp only.")
    model: str | None = None
    provider: str | None = Field(default=None, description="A name of 'providers'; by type when missing.")
    description: Text = ""
    responsibilities: tuple[Text, ...] = ()
    rules_file: InsidePath | None = None
    memory_file: InsidePath | None = None
    sandbox_path: InsidePath | None = None
    direct_communication: tuple[str, ...] = Field(
        default=(), description="Agents this one may open a conversation with. Replies are always allowed."
    )
    indirect_communication: Indirect = Field(
        default="ask", description="What happens with a message to an agent that is not listed."
    )
    initial_instructions: Text = ""
    sandbox: SandboxSpec = SandboxSpec()
    network: NetworkPolicy = NetworkPolicy()
    limits: Limits = Limits()


class AgentSpec(AgentDefaults):
    """One agent, defaults merged in. Paths are relative to the folder of agents.yaml and stay inside it."""

    id: Id
    type: AgentType
    rules_file: InsidePath = Field(default="", description="Default: agents/<id>/rules.md.")
    memory_file: InsidePath = Field(default="", description="Default: agents/<id>/memory.md.")
    sandbox_path: InsidePath = Field(
        default="", description="The host's mirror of the agent's /workspace. Default: agents/<id>/sandbox."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_paths(cls, data: object) -> object:
        return with_default_paths(data)

    @property
    def packs(self) -> tuple[str, ...]:
        """Tool packs its machine needs."""
        return PACKS_OF_TYPE.get(self.type, ())

    @property
    def provider_name(self) -> str:
        """The provider it names, or the one its type goes with."""
        return self.provider or _PROVIDER_OF_TYPE[self.type]


_LEAVES: Mapping[str, str] = {"rules_file": "rules.md", "memory_file": "memory.md", "sandbox_path": "sandbox"}


class Fleet(_Spec):
    """A whole agents.yaml. Constructing one checks ids, recipients and providers too."""

    version: Literal[1] = 1
    project: ProjectSpec = ProjectSpec()
    defaults: AgentDefaults = AgentDefaults()
    providers: dict[str, ProviderSpec] = Field(default_factory=dict)
    agents: tuple[AgentSpec, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _merge(cls, data: object) -> object:
        return merge_defaults(data)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if problems := topology_problems(self.model_dump(exclude_none=True)):
            raise TopologyInvalid(problems)
        return self

    def agent(self, agent_id: str) -> AgentSpec:
        """The agent of that id. Raises NotFound, naming the nearest."""
        for agent in self.agents:
            if agent.id == agent_id:
                return agent
        ids = [agent.id for agent in self.agents]
        near = get_close_matches(agent_id, ids, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "agents: " + ", ".join(ids)
        raise NotFound(f"there is no agent {agent_id!r}", operation="find agent", hint=hint)

    def provider_of(self, agent: AgentSpec) -> ProviderSpec:
        """Where the agent's model calls go."""
        return self.providers[agent.provider_name]

    def channel(self, sender: str, recipient: str) -> Channel:
        """What happens with a new message between two ids; replies are always allowed and need no question.

        Raises NotFound for an id that is neither an agent nor ``user``.
        """
        if recipient != "user":
            self.agent(recipient)
        if "user" in (sender, recipient):
            return "direct"
        spec = self.agent(sender)
        return "direct" if recipient in spec.direct_communication else spec.indirect_communication


def with_default_paths(agent: object) -> object:
    """The raw data of an agent, with the paths it does not give."""
    if not isinstance(agent, Mapping) or not isinstance(agent.get("id"), str):
        return agent
    folder = f"agents/{agent['id']}"
    paths = {name: f"{folder}/{leaf}" for name, leaf in _LEAVES.items() if agent.get(name) is None}
    return {**agent, **paths}


def merge_defaults(data: object) -> object:
    """``data`` of agents.yaml with ``defaults`` merged into every agent and the built-in providers added.

    Mappings are merged key by key, anything else is replaced by the agent's own value. What has the wrong shape is
    left alone, for the validation to complain about.
    """
    if not isinstance(data, Mapping):
        return data
    merged = dict(data)
    defaults, agents = data.get("defaults"), data.get("agents")
    if isinstance(defaults, Mapping) and isinstance(agents, list | tuple):
        merged["agents"] = [_overlay(defaults, agent) if isinstance(agent, Mapping) else agent for agent in agents]
    providers = data.get("providers", {})
    if isinstance(providers, Mapping):
        merged["providers"] = _overlay(DEFAULT_PROVIDERS, providers)
    return merged


def _overlay(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    result = {**base, **own}
    for key, value in own.items():
        below = base.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = _overlay(below, value)
    return result
