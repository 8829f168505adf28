"""From text to a Fleet or Rules, or to complaints that name the place and the nearest right word."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.config.complaints import Complaint, ProjectInvalid, nearest, shown
from app.config.git_folder import repository_problems
from app.config.marks import Marked, decode, parse, show_path
from app.domain.fleet import Fleet, merge_defaults, with_default_paths
from app.domain.rules import Rules, split_rules
from app.domain.topology import Loc, Problem, topology_problems

_START = "begin with 'agents:' and a list of agents, each with an id and a type"
_WORDS: Mapping[str, str] = {
    "string_type": "expected text",
    "string_unicode": "expected text without half characters (surrogates)",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "dict_type": "expected a mapping (lines of 'key: value')",
    "model_type": "expected a mapping (lines of 'key: value')",
    "model_attributes_type": "expected a mapping (lines of 'key: value')",
    "too_short": "expected at least one",
}
_PATTERNS: Mapping[str, str] = {
    "id": "expected a small letter, then small letters, digits and '-', 40 at most",
    "credential": "expected env:VARIABLE, keyring:name or file:/path",
    "base_url": "expected an address such as https://api.openai.com/v1",
    "image": "expected the name of an image such as base",
}


def validate_fleet(raw: bytes, file: Path) -> Fleet:
    """The fleet in ``raw``. Raises ProjectInvalid with every complaint found, sorted by line."""
    marked = parse(raw, file)
    if not isinstance(marked.data, dict):
        message = "the file is empty" if marked.data is None else "expected a mapping (lines of 'key: value')"
        mark, found = marked.at(()), "" if marked.data is None else shown(marked.data)
        raise ProjectInvalid([Complaint(file, mark.line, mark.column, "", message, found, _START)])
    fleet, complaints = _validate(marked, file)
    complaints += [_from_problem(problem, marked, file) for problem in _problems(marked.data, file.parent.resolve())]
    if fleet is None or complaints:
        raise ProjectInvalid(list(dict.fromkeys(complaints)))
    return fleet


def _validate(marked: Marked, file: Path) -> tuple[Fleet | None, list[Complaint]]:
    try:
        return Fleet.model_validate(marked.data), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    # What stands in 'defaults' is complained about there, once, and not in every agent it is merged into.
    own = [detail for detail in details if detail["loc"] and not _echo(detail, marked)]
    return None, [_from_detail(detail, marked, file, Fleet) for detail in own]


def validate_rules(raw: bytes, file: Path) -> tuple[Rules, str]:
    """The enforced rules and the prose of a rules.md. Raises ProjectInvalid with every complaint found."""
    try:
        front_matter, prose, line = split_rules(decode(raw, file))
    except ValueError as error:
        raise ProjectInvalid([Complaint(file, 1, 1, "", str(error), suggestion="add a line '---' below it")]) from None
    marked = parse(("\n" * (line - 1) + front_matter).encode(), file)
    try:
        return Rules.model_validate({} if marked.data is None else marked.data), prose
    except ValidationError as error:
        details = error.errors(include_url=False)
    raise ProjectInvalid([_from_detail(detail, marked, file, Rules) for detail in details])


def rule_lines(raw: bytes, file: Path) -> Mapping[tuple[str, str], int]:
    """The lines of a good rules.md in which patterns stand, by (``commands.deny``, pattern)."""
    front_matter, _, line = split_rules(decode(raw, file))
    marked = parse(("\n" * (line - 1) + front_matter).encode(), file)
    found: dict[tuple[str, str], int] = {}
    for loc, mark in marked.values.items():
        match loc:
            case (str(part), str(kind), int(place)):
                found[f"{part}.{kind}", str(marked.data[part][kind][place])] = mark.line
            case ("approve",):
                found["approve", ""] = mark.line
            case _:
                pass
    return found


def _echo(detail: ErrorDetails, marked: Marked) -> bool:
    """Whether a detail only repeats another one."""
    match detail["loc"]:
        case ("agents", int(), *rest) if rest:
            return detail["loc"] not in marked.values and ("defaults", *rest) in marked.values
        case _:
            # pydantic counts the agents without mistakes
            return detail["type"] == "too_short" and bool(detail["input"])


def _from_detail(detail: ErrorDetails, marked: Marked, file: Path, model: type[BaseModel]) -> Complaint:
    loc, kind, value = detail["loc"], detail["type"], detail["input"]
    last = str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        mark, keys = marked.at(loc, key=True), _keys_at(loc[:-1], model)
        return Complaint(file, mark.line, mark.column, show_path(loc), f"unknown key {last!r}", "", nearest(last, keys))
    mark = marked.at(loc)
    if kind == "missing":
        return Complaint(file, mark.line, mark.column, show_path(loc), f"the key {last!r} is missing")
    # A credential in the wrong form may be the key itself: never repeat it.
    found, suggestion = "" if last == "credential" else shown(value), ""
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
        suggestion = nearest(str(value), words, listing=False)
    return Complaint(file, mark.line, mark.column, show_path(loc), _message(detail), found, suggestion)


def _message(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(str(detail["loc"][-1]), detail["msg"])
    if kind == "literal_error":
        return f"expected {detail.get('ctx', {}).get('expected', 'another word')}"
    text = _WORDS.get(kind) or detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return text if kind in _WORDS or kind == "value_error" else f"expected {text}"


def _problems(data: Mapping[str, Any], root: Path) -> Iterator[Problem]:
    merged = merge_defaults(data)
    assert isinstance(merged, dict)
    agents = merged.get("agents")
    if isinstance(agents, list):
        merged["agents"] = [with_default_paths(agent) for agent in agents]
    yield from topology_problems(merged)
    yield from _links_outside(merged.get("agents"), root)
    yield from repository_problems(merged, root)


def _links_outside(agents: object, root: Path) -> Iterator[Problem]:
    """Paths that look inside, but lead out of the folder through a symbolic link."""
    for index, agent in enumerate(agents if isinstance(agents, list) else []):
        for key in ("rules_file", "memory_file", "sandbox_path"):
            path = agent.get(key) if isinstance(agent, dict) else None
            if not isinstance(path, str) or path.startswith(("/", "~")) or ".." in Path(path).parts or "\0" in path:
                continue
            target = (root / path).resolve()
            if target != root and root not in target.parents:
                message = f"the path leaves the project's folder through a symbolic link, to {target}"
                yield Problem(("agents", index, key), message, path)


def _from_problem(problem: Problem, marked: Marked, file: Path) -> Complaint:
    mark = marked.at(problem.loc)
    suggestion = nearest(problem.found, problem.valid) if problem.valid else ""
    return Complaint(file, mark.line, mark.column, show_path(problem.loc), problem.message, "", suggestion)


def _keys_at(loc: Loc, root: type[BaseModel]) -> list[str]:
    """The keys that are valid at ``loc`` of a ``root``."""
    kind: Any = root
    for part in loc:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field is not None else None
        else:  # tuple[Item, ...] or dict[str, Item]
            kind = next((arg for arg in typing.get_args(kind) if arg not in (str, ...)), None)
    return sorted(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
