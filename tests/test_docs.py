"""What the documents say is so: keys, defaults, commands, options, exit status, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup

from app.cli.main import build
from app.cli.output import EXIT_CODES
from app.config import parse_fleet
from app.domain.fleet import AgentSpec, Fleet, Limits, NetworkPolicy, ProjectSpec, ProviderSpec, SandboxSpec
from app.domain.quantities import format_duration, format_size

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
SECTIONS: dict[str, type[BaseModel]] = {
    "The file": Fleet,
    "project": ProjectSpec,
    "providers": ProviderSpec,
    "agents": AgentSpec,
    "sandbox": SandboxSpec,
    "network": NetworkPolicy,
    "limits": Limits,
}
AS_SIZE = {"memory", "disk", "output"}
AS_DURATION = {"wall_clock", "command", "stall", "provider_down"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text(name), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{name} has no section {heading!r}"
    return found[1]


def rows(part: str) -> dict[str, list[str]]:
    """The rows of a section's table by their first word, which is in backticks."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:3] == "| `"]
    return {re.findall(r"`([^`]+)`", row[0])[0]: row for row in cells}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_of_agents_yaml_and_no_other(heading: str) -> None:
    assert sorted(rows(section("docs/agents-yaml.md", heading))) == sorted(SECTIONS[heading].model_fields)


@pytest.mark.parametrize("heading", SECTIONS)
def test_defaults(heading: str) -> None:
    for key, row in rows(section("docs/agents-yaml.md", heading)).items():
        field = SECTIONS[heading].model_fields[key]
        value = field.get_default(call_default_factory=True) if field.default is not PydanticUndefined else None
        told = row[1].strip("`")
        if field.is_required():
            assert told == "required", key
        elif not isinstance(value, BaseModel | dict) and told and row[1].startswith("`") and "<id>" not in told:
            assert told == in_words(heading, key, value), key


def in_words(heading: str, key: str, value: Any) -> str:
    if heading in ("sandbox", "limits") and key in AS_SIZE:
        return format_size(value)
    if heading == "limits" and key in AS_DURATION:
        return format_duration(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("name", ["README.md", "docs/agents-yaml.md"])
def test_examples_load(name: str) -> None:
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", text(name), re.DOTALL) if "agents:" in block]
    assert blocks
    for block in blocks:
        parse_fleet(block.encode(), ROOT / "agents.yaml")


def commands() -> Iterator[tuple[str, Any]]:
    group = typer.main.get_command(build())
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {inner}", item) for inner, item in command.commands.items())
        elif not command.hidden:
            yield name, command


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_its_options(name: str, command: Any) -> None:
    part = section("docs/commands.md", f"skerry {name}")
    options = [option for option in command.params if option.param_type_name == "option" and not option.hidden]
    told = {word for row in rows(part).values() for word in re.findall(r"`(--[a-z-]+)", row[0])}
    assert told == {word for option in options for word in option.opts if word.startswith("--")} - {"--help"}
    assert f"`skerry {name}" in text("README.md")


def test_no_command_is_made_up() -> None:
    told = re.findall(r"^## skerry (.+)$", text("docs/commands.md"), re.MULTILINE)
    assert sorted(told) == sorted(name for name, _ in commands())


def test_exit_status() -> None:
    told = {row[0]: row[1] for row in tables(section("docs/commands.md", "Exit status"))}
    meant = dict(re.findall(r"^ *(\d+)  (.+)$", EXIT_CODES, re.MULTILINE))
    assert told == meant


def tables(part: str) -> list[list[str]]:
    lines = [line for line in part.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (file.parent / target).exists(), target


def test_errors_in_troubleshooting_are_errors_of_ours() -> None:
    files = [*(ROOT / "app").rglob("*.py"), *(ROOT / "packaging").glob("*.sh")]
    source = " ".join(" ".join(file.read_text(encoding="utf-8") for file in files).split()).lower()
    quoted = re.findall(r"“([^”]+)”", text("docs/troubleshooting.md"))
    assert len(quoted) > 25
    parts = [part.strip() for words in quoted for part in words.lower().split("…")]
    assert [part for part in parts if part not in source] == []
