"""JSON Schemas of the files and messages that others write, generated from the types that read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from app.domain.envelope import Envelope
from app.domain.fleet import DEFAULT_PROVIDERS, Fleet
from app.domain.rules import Rules

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text(name: str) -> str:
    """The JSON Schema called ``name``, one of SCHEMAS, as the text of its file."""
    return json.dumps({"$schema": _DIALECT, **SCHEMAS[name]()}, indent=2, ensure_ascii=False) + "\n"


def _agents() -> dict[str, Any]:
    schema = Fleet.model_json_schema()
    schema["title"] = "agents.yaml"
    definitions = schema["$defs"]
    agent = definitions["AgentSpec"]
    agent["required"] = ["id"]
    for key in ("rules_file", "memory_file", "sandbox_path"):
        agent["properties"][key].pop("default")
    _type_may_come_from_defaults(schema)
    # The built-in providers are there already: a file may replace single values of them.
    partial = {key: value for key, value in definitions["ProviderSpec"].items() if key != "required"}
    definitions["BuiltInProviderSpec"] = partial
    own = {"$ref": "#/$defs/BuiltInProviderSpec"}
    schema["properties"]["providers"]["properties"] = dict.fromkeys(DEFAULT_PROVIDERS, own)
    return schema


def _type_may_come_from_defaults(schema: dict[str, Any]) -> None:
    given = {"required": ["defaults"], "properties": {"defaults": {"required": ["type"]}}}
    every_agent_says = {"properties": {"agents": {"items": {"required": ["type"]}}}}
    schema["if"], schema["else"] = given, every_agent_says


def _plain(model: type[BaseModel]) -> Callable[[], dict[str, Any]]:
    return model.model_json_schema


SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "agents": _agents,
    "envelope": _plain(Envelope),
    "rules": _plain(Rules),
}
"""What has a schema, by the name of its file in resources/schema."""
