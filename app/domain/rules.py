"""rules.md: prose for the agent, and an optional front matter that the host enforces."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["allow", "ask", "deny"]
Pattern = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]
_FENCE = "---"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CommandRules(_Part):
    """Patterns of shell commands, ``*`` for anything."""

    allow: tuple[Pattern, ...] = ()
    ask: tuple[Pattern, ...] = ()
    deny: tuple[Pattern, ...] = ()


class FileRules(_Part):
    """Patterns of paths below the workspace, ``**`` for any folders."""

    deny: tuple[Pattern, ...] = ()
    read_only: tuple[Pattern, ...] = ()


class ToolRules(_Part):
    """Patterns of tools: the names of Skerry's own, and what an agent's program calls those of other MCP servers."""

    ask: tuple[Pattern, ...] = ()
    deny: tuple[Pattern, ...] = ()


class MessageRules(_Part):
    """How many messages an agent may send, and how large."""

    max_per_hour: Annotated[int, Field(strict=True, ge=0)] = 60
    max_bytes: Annotated[int, Field(strict=True, ge=1, le=1_048_576)] = 65_536


class Rules(_Part):
    """The front matter of a rules.md; what no rule names is decided by ``approve``."""

    commands: CommandRules = CommandRules()
    files: FileRules = FileRules()
    tools: ToolRules = ToolRules()
    messages: MessageRules = MessageRules()
    approve: Literal["auto", "ask", "deny"] = "auto"

    @property
    def silent(self) -> bool:
        """Whether they say nothing about commands and files: then there is nothing to look at."""
        return self.approve == "auto" and self.commands == CommandRules() and self.files == FileRules()


class RulesText(NamedTuple):
    """A rules.md in its two parts. ``front_matter`` is YAML that begins in line ``line`` of the file."""

    front_matter: str
    prose: str
    line: int


def split_rules(text: str) -> RulesText:
    """Part ``text`` of a rules.md at its ``---`` lines. Raises ValueError when the front matter has no end."""
    lines = text.splitlines(keepends=True)
    if not lines or lines[0].rstrip() != _FENCE:
        return RulesText("", text, 1)
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            return RulesText("".join(lines[1:number]), "".join(lines[number + 1 :]).lstrip("\n"), 2)
    raise ValueError("the front matter that '---' opens in line 1 has no closing '---'")
