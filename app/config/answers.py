"""Answers written beforehand, for a run without a window: a YAML file that says what is answered to which question."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.config.marks import parse
from app.domain.errors import ConfigError
from app.domain.interrupt import Answer, Interrupt, InterruptKind, default_answer


class Prepared(BaseModel):
    """One entry: what it is for (all that is named must match), and the one answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: str = "*"
    kind: InterruptKind | None = None
    title: str = "*"
    """Shell patterns, as ``agent``: * stands for anything."""
    option: str = ""
    text: str = ""
    """The answer's words; beside an option a note."""
    modify: str = ""
    replace: bool = False
    """For ``modify``."""
    cancel: Literal["", "agent", "task"] = ""
    default: bool = False

    @model_validator(mode="after")
    def _one_answer(self) -> Prepared:
        if sum((bool(self.option or self.text), bool(self.modify), bool(self.cancel), self.default)) != 1:
            raise ValueError("needs one answer: option (with or without text), text, modify, cancel or default")
        if self.replace and not self.modify:
            raise ValueError("replace goes with modify")
        return self

    def fits(self, asked: Interrupt) -> bool:
        """Whether this is for that question."""
        kind = self.kind is None or self.kind is asked.kind
        return kind and fnmatchcase(asked.agent, self.agent) and fnmatchcase(asked.title, self.title)

    def answer(self, asked: Interrupt) -> Answer:
        """The answer, as one that a file gave."""
        if self.default:
            return default_answer(asked).model_copy(update={"by": "file"})
        if self.cancel:
            return Answer(action="cancel", scope=self.cancel, by="file")
        if self.modify:
            return Answer(action="modify", text=self.modify, mode="replace" if self.replace else "amend", by="file")
        return Answer(option=self.option, text=self.text, by="file")


class PreparedAnswers(BaseModel):
    """The file: the first entry that fits is the answer; a question that none fits waits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: tuple[Prepared, ...] = Field(default=(), max_length=1000)

    def find(self, asked: Interrupt) -> Answer | None:
        """The answer to a question, or None."""
        return next((entry.answer(asked) for entry in self.answers if entry.fits(asked)), None)


def load_answers(file: Path) -> PreparedAnswers:
    """Read the file. Raises ConfigError naming its first mistake, with the line."""
    try:
        marked = parse(file.read_bytes(), file)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", operation="read the answers") from error
    try:
        return PreparedAnswers.model_validate({} if marked.data is None else marked.data)
    except ValidationError as error:
        first = error.errors()[0]
        line = marked.at(first["loc"]).line
        words = f"{file}:{line}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise ConfigError(words, operation="read the answers", hint="see docs/interrupts.md") from None
