"""What must hold between the parts of agents.yaml: unique ids, known recipients and providers, separate folders.

Works on the plain data, so that a file with other mistakes still gets these complaints too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

RESERVED_IDS = ("user", "host", "skerry")
"""Names of senders that are not agents."""

_SPEAKS: Mapping[str, tuple[str, ...]] = {
    "codex": ("openai",),
    "claude-code": ("anthropic",),
    "openai": ("openai", "openai-chat"),
    "anthropic": ("anthropic",),
}
"""Which APIs of a provider an agent can use, by its type."""
Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong at ``loc``. ``found`` is the wrong word, ``valid`` the words that would do."""

    loc: Loc
    message: str
    found: str = ""
    valid: Sequence[str] = ()


class TopologyInvalid(ValueError):
    """The parts of a fleet do not fit together; ``problems`` says where."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def topology_problems(data: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong between the parts of ``data``, an agents.yaml with its defaults merged."""
    agents = [(index, agent) for index, agent in enumerate(_items(data.get("agents"))) if isinstance(agent, Mapping)]
    providers = data.get("providers")
    known = tuple(str(name) for name in providers) if isinstance(providers, Mapping) else ()
    checks = (
        _ids(agents),
        _recipients(agents),
        _providers(agents, known),
        _spoken(agents, providers if isinstance(providers, Mapping) else {}),
        _commands(agents),
        _separate_files(agents),
        _out_of_reach(agents),
    )
    return [problem for check in checks for problem in check]


_Agents = list[tuple[int, Mapping[str, Any]]]


def _items(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _ids(agents: _Agents) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, agent in agents:
        agent_id = agent.get("id")
        if not isinstance(agent_id, str):
            continue
        if agent_id in RESERVED_IDS:
            yield Problem(("agents", index, "id"), f"the id {agent_id!r} is reserved", agent_id)
        if agent_id in first:
            message = f"the id {agent_id!r} is used twice, first by agents[{first[agent_id]}]"
            yield Problem(("agents", index, "id"), message, agent_id)
        first.setdefault(agent_id, index)


def _recipients(agents: _Agents) -> Iterator[Problem]:
    ids = tuple(agent["id"] for _, agent in agents if isinstance(agent.get("id"), str))
    for index, agent in agents:
        others = (*(name for name in ids if name != agent.get("id")), "user")
        for place, name in enumerate(_items(agent.get("direct_communication"))):
            loc = ("agents", index, "direct_communication", place)
            if isinstance(name, str) and name == agent.get("id"):
                yield Problem(loc, "an agent cannot write to itself", name, others)
            elif isinstance(name, str) and name not in others:
                yield Problem(loc, f"there is no agent {name!r}", name, others)


def _providers(agents: _Agents, known: Sequence[str]) -> Iterator[Problem]:
    for index, agent in agents:
        name = agent.get("provider")
        if isinstance(name, str) and name not in known:
            yield Problem(("agents", index, "provider"), f"there is no provider {name!r}", name, known)


def _spoken(agents: _Agents, providers: Mapping[Any, Any]) -> Iterator[Problem]:
    for index, agent in agents:
        name, apis = agent.get("provider"), _SPEAKS.get(str(agent.get("type")))
        provider = providers.get(name) if isinstance(name, str) else None
        api = provider.get("api") if isinstance(provider, Mapping) else None
        if apis is not None and isinstance(api, str) and api not in apis:
            message = f"an agent of type {agent.get('type')} speaks {' or '.join(apis)}; the provider {name!r}: {api}"
            yield Problem(("agents", index, "provider"), message, str(name))


def _commands(agents: _Agents) -> Iterator[Problem]:
    for index, agent in agents:
        kind, command = agent.get("type"), agent.get("command")
        if kind == "acp" and not command:
            yield Problem(("agents", index, "type"), "type acp needs 'command', the program to start", "acp")
        elif command and isinstance(kind, str) and kind != "acp":
            yield Problem(("agents", index, "command"), f"'command' goes with type acp only, not with {kind}")


def _separate_files(agents: _Agents) -> Iterator[Problem]:
    for key in ("memory_file", "sandbox_path"):
        taken: dict[PurePosixPath, str] = {}
        for index, agent in agents:
            value = agent.get(key)
            if not isinstance(value, str):
                continue
            path = PurePosixPath(value)
            clash = next((other for other in taken if _overlap(path, other)), None)
            # Of two agents with the same id, the id is the mistake.
            if clash is not None and taken[clash] != agent.get("id"):
                message = f"{value!r} overlaps with the {key} of {taken[clash]}; every agent needs its own"
                yield Problem(("agents", index, key), message, value)
            taken.setdefault(path, str(agent.get("id")))


def _out_of_reach(agents: _Agents) -> Iterator[Problem]:
    """Files that an agent must not write by way of its workspace, or of its memory tools."""
    mirrors = [(PurePosixPath(path), "sandbox_path", name) for path, name in _paths(agents, "sandbox_path")]
    rules = [(PurePosixPath(path), "rules_file", name) for path, name in _paths(agents, "rules_file")]
    for key, others in (("rules_file", mirrors), ("memory_file", [*mirrors, *rules])):
        for index, agent in agents:
            value = agent.get(key)
            if not isinstance(value, str):
                continue
            path = PurePosixPath(value)
            for other, what, name in others:
                if other == path or other in path.parents:
                    message = f"{value!r} is in the {what} of {name}: it would write it"
                    yield Problem(("agents", index, key), message, value)


def _paths(agents: _Agents, key: str) -> Iterator[tuple[str, str]]:
    for _, agent in agents:
        if isinstance(value := agent.get(key), str):
            yield value, str(agent.get("id"))


def _overlap(one: PurePosixPath, other: PurePosixPath) -> bool:
    return one == other or one in other.parents or other in one.parents
