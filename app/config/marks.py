"""Plain data out of YAML or JSON text, with the line and column of every key and value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from app.config.complaints import Complaint, ProjectInvalid
from app.domain.topology import Loc

MAX_BYTES = 1_048_576
MAX_NODES = 100_000
_PLAIN_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, counted from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Marked:
    """Data and where each part of it stands: ``keys`` for the key of a mapping, ``values`` for what it holds."""

    data: Any = None
    keys: dict[Loc, Mark] = field(default_factory=dict)
    values: dict[Loc, Mark] = field(default_factory=dict)

    def at(self, loc: Loc, *, key: bool = False) -> Mark:
        """The mark of ``loc``, or of the nearest part above it that is in the file."""
        if key and loc in self.keys:
            return self.keys[loc]
        while loc and loc not in self.values:
            loc = loc[:-1]
        return self.values.get(loc, Mark(1, 1))


class _Loader(yaml.SafeLoader):
    """SafeLoader without timestamps: a date in agents.yaml is text, as it is in JSON."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own class attribute)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def parse(raw: bytes, file: Path) -> Marked:
    """The data of ``raw``, YAML or (for a name ending in .json) JSON. Raises ProjectInvalid with the place."""
    text = decode(raw, file)
    if file.suffix == ".json":
        data = _json(text, file)
        # JSON is YAML but for tabs (never within its strings) and surrogate pairs: take the marks only.
        marked = _read(text.replace("\t", " "), file)
        marked.data = data
        return marked
    return _read(text, file)


def _read(text: str, file: Path) -> Marked:
    try:
        loader = _Loader(text)
        try:
            return _Reader(loader, file).read(loader.get_single_node())
        finally:
            loader.dispose()
    except RecursionError:
        raise ProjectInvalid([Complaint(file, 1, 1, "", "the values are nested too deeply")]) from None
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, file) from None
    except yaml.reader.ReaderError as error:
        mark = _mark_of(text, error.position)
        code = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"the character U+{code:04X} is not allowed"
        raise ProjectInvalid([Complaint(file, mark.line, mark.column, "", message)]) from None


def show_path(loc: Loc) -> str:
    """``('agents', 1, 'id')`` as ``agents[1].id``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


class _Reader:
    """Turns YAML nodes into plain data, noting marks and collecting complaints."""

    def __init__(self, loader: _Loader, file: Path) -> None:
        self._loader = loader
        self._file = file
        self._marked = Marked()
        self._complaints: list[Complaint] = []
        self._open: set[int] = set()
        self._nodes = 0

    def read(self, root: yaml.Node | None) -> Marked:
        if root is not None:
            self._marked.data = self._value(root, ())
        if self._complaints:
            raise ProjectInvalid(self._complaints)
        return self._marked

    def _complain(self, node: yaml.Node, loc: Loc, message: str, suggestion: str = "") -> None:
        mark = _mark(node.start_mark)
        self._complaints.append(
            Complaint(self._file, mark.line, mark.column, show_path(loc), message, suggestion=suggestion)
        )

    def _value(self, node: yaml.Node, loc: Loc) -> Any:
        self._marked.values[loc] = _mark(node.start_mark)
        self._nodes += 1
        if id(node) in self._open:
            self._complain(node, loc, "an alias (*name) stands inside the value it repeats")
            return None
        if self._nodes > MAX_NODES:
            raise ProjectInvalid([Complaint(self._file, 1, 1, "", f"the file has more than {MAX_NODES} values")])
        self._open.add(id(node))
        try:
            return self._content(node, loc)
        finally:
            self._open.discard(id(node))

    def _content(self, node: yaml.Node, loc: Loc) -> Any:
        if node.tag not in _PLAIN_TAGS:
            self._complain(node, loc, f"the tag {node.tag!r} is not allowed", "write plain text or numbers")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, loc))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*loc, index)) for index, item in enumerate(node.value)]
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            self._complain(node, loc, str(error))
            return None

    def _pairs(self, node: yaml.MappingNode, loc: Loc) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Mark] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                self._complain(key_node, loc, "a key must be a single word")
                continue
            if key in seen:
                message = f"the key {key!r} is here twice, first in line {seen[key].line}"
                self._complain(key_node, (*loc, key), message, "remove one of the two")
                continue
            seen[key] = self._marked.keys[*loc, key] = _mark(key_node.start_mark)
            yield key, self._value(value_node, (*loc, key))


def decode(raw: bytes, file: Path) -> str:
    """The text of ``raw``. Raises ProjectInvalid when it is too large or not UTF-8."""
    if len(raw) > MAX_BYTES:
        raise ProjectInvalid([Complaint(file, 1, 1, "", f"the file has {len(raw)} bytes, {MAX_BYTES} are allowed")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mark = _mark_of(raw[: error.start].decode("utf-8", "replace"), None)
        message = f"the byte 0x{raw[error.start]:02X} is not UTF-8"
        raise ProjectInvalid(
            [Complaint(file, mark.line, mark.column, "", message, suggestion="save the file as UTF-8")]
        ) from None


def _json(text: str, file: Path) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except RecursionError:
        raise ProjectInvalid([Complaint(file, 1, 1, "", "the values are nested too deeply")]) from None
    except json.JSONDecodeError as error:
        complaint = Complaint(file, error.lineno, error.colno, "", f"not JSON: {error.msg}")
        raise ProjectInvalid([complaint]) from None


def _syntax(error: yaml.MarkedYAMLError, file: Path) -> ProjectInvalid:
    place = error.problem_mark or error.context_mark
    mark = _mark(place) if place is not None else Mark(1, 1)
    context = f" {error.context}" if error.context else ""
    problem = error.problem or "the text cannot be read"
    message = f"not YAML:{context}, {problem}" if context else f"not YAML: {problem}"
    return ProjectInvalid([Complaint(file, mark.line, mark.column, "", message, suggestion=_remedy(problem))])


def _remedy(problem: str) -> str:
    if "\\t" in problem:
        return "indent with spaces, not with tabs"
    if "mapping values are not allowed" in problem:
        return "put quotes around a text that contains ': '"
    if "expected <block end>" in problem or "could not find expected" in problem:
        return "check the indentation, brackets and quotes of this line and the one above"
    if "undefined alias" in problem:
        return "put quotes around a text that begins with '*'"
    return ""


def _mark(mark: yaml.Mark) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _mark_of(text: str, position: int | None) -> Mark:
    before = text if position is None else text[:position]
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
