"""The rules of one agent as they are now: rules.md and approvals.yaml are read again when they have changed.

A file with mistakes changes nothing: the last good rules stay in force, and it is told what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.config.approvals import FILE_NAME, load_commands
from app.config.complaints import ProjectInvalid
from app.config.project import Project, load_rules
from app.config.validation import rule_lines
from app.domain.decisions import Decision, Judged, Wish, decide
from app.domain.errors import ConfigError
from app.domain.fleet import AgentSpec
from app.domain.rules import Rules

_Seen = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class RulesNews:
    """``file``, a path in the project, was read again; ``problem`` says what is wrong with it, if anything."""

    file: str
    problem: str = ""


@dataclass(slots=True)
class RulesBook:
    """What ``agent`` may do by the files of ``project``; ``tell`` hears of every later change of them."""

    project: Project
    agent: AgentSpec
    tell: Callable[[RulesNews], None] = lambda news: None
    _rules: Rules | None = None
    _always: tuple[str, ...] = ()
    _lines: Mapping[tuple[str, str], int] = field(default_factory=dict)
    _seen: dict[Path, _Seen] = field(default_factory=dict)
    _problems: dict[Path, str] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """What is wrong with the files as they are, in words; empty when they are the rules in force."""
        return "\n".join(filter(None, self._problems.values()))

    def rules(self) -> Rules:
        """The rules in force. Raises ConfigError when there never were good ones."""
        file = self.project.rules_file(self.agent)
        if self._has_changed(file):
            self._read(file, self._read_rules, must=self._rules is None)
        assert self._rules is not None
        return self._rules

    def always(self) -> tuple[str, ...]:
        """Commands the user has allowed this agent for always."""
        file = self.project.root / FILE_NAME
        if self._has_changed(file):
            self._read(file, self._read_always)
        return self._always

    def decide(self, wish: Wish) -> Judged:
        """What the rules say of ``wish`` now. Raises ConfigError when there never were good ones."""
        return decide(self.rules(), wish, self.always())

    def place(self, decision: Decision) -> str:
        """Where the rule that gave a verdict stands: ``agents/dev/rules.md:4``; without a line for no pattern."""
        if decision.rule == FILE_NAME:
            return FILE_NAME
        line = self._lines.get((decision.rule.partition(":")[0], decision.pattern))
        return f"{self.agent.rules_file}:{line}" if line else self.agent.rules_file

    def _has_changed(self, file: Path) -> bool:
        return file not in self._seen or self._seen[file] != _look(file)

    def _read(self, file: Path, read: Callable[[], None], *, must: bool = False) -> None:
        first, problem = file not in self._seen, ""
        seen = _look(file)
        try:
            read()
        except ConfigError as error:
            if must:
                raise
            problem = _words(error)
        self._seen[file], self._problems[file] = seen, problem
        if not first or problem:
            self.tell(RulesNews(str(file.relative_to(self.project.root)), problem))

    def _read_rules(self) -> None:
        self._rules, _ = load_rules(self.project, self.agent)
        file = self.project.rules_file(self.agent)
        self._lines = rule_lines(file.read_bytes(), file) if file.exists() else {}

    def _read_always(self) -> None:
        self._always = load_commands(self.project.root).get(self.agent.id, ())


def _look(file: Path) -> _Seen:
    """What tells one state of a file from another."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _words(error: ConfigError) -> str:
    return (
        "; ".join(str(item) for item in error.complaints) if isinstance(error, ProjectInvalid) else str(error.message)
    )
