"""Model servers on this host that can be used without a key: looked for where they usually listen, on loopback only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import httpx2

SECONDS: Final = 0.8
"""How long one server may take to answer."""
MAX_BYTES: Final = 1_000_000
_MAX_NAMES: Final = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kind of server listens by default, and what it says its version under."""

    kind: str
    url: str
    version: tuple[str, str]
    """A path, and the key of its answer."""


PLACES: Final = (
    Place("Ollama", "http://127.0.0.1:11434", ("/api/version", "version")),
    Place("llama.cpp", "http://127.0.0.1:8080", ("/props", "build_info")),
)
"""Ollama: docs/faq (OLLAMA_HOST); llama.cpp: tools/server/README.md (--port)."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answers. ``provider`` is the entry for ``providers`` in agents.yaml."""

    kind: str
    base_url: str
    version: str
    models: tuple[str, ...]

    @property
    def provider(self) -> str:
        """One line of YAML."""
        return f'local: {{api: openai-chat, base_url: "{self.base_url}"}}'


def find_local_models(places: Sequence[Place] = PLACES) -> list[LocalServer]:
    """The servers that answer now; blocks for a second at most. What is no such server is left out."""
    with ThreadPoolExecutor(max_workers=max(1, len(places))) as pool:
        return [server for server in pool.map(_look, places) if server is not None]


def _look(place: Place) -> LocalServer | None:
    # No proxy of the environment: what runs here is asked here.
    with httpx2.Client(base_url=place.url, timeout=SECONDS, trust_env=False) as client:
        listed = _read(client, "/v1/models")
        entries = listed.get("data")
        if not isinstance(entries, list):
            return None
        path, key = place.version
        version = _read(client, path).get(key)
    names = [entry.get("id") for entry in entries[:_MAX_NAMES] if isinstance(entry, dict)]
    models = tuple(name[:200] for name in names if isinstance(name, str) and name.isprintable())
    known = version[:60] if isinstance(version, str) and version.isprintable() else ""
    return LocalServer(place.kind, f"{place.url}/v1", known, models)


def _read(client: httpx2.Client, path: str) -> Mapping[str, Any]:
    try:
        answer = client.get(path)
        if not answer.is_success or len(answer.content) > MAX_BYTES:
            return {}
        found = json.loads(answer.content)
    except (httpx2.HTTPError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
