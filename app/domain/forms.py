"""A form that an agent's program wants filled in (ACP's elicitation), as one question to the user, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.domain.interrupt import Answer

FieldKind = Literal["text", "number", "integer", "boolean", "choice", "choices"]
Value = str | int | float | bool | list[str]
YES, NO = "Yes", "No"
_COMPANION = "_custom"
"""How Claude Code names the field for own words beside a choice."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked for; ``options`` for a choice."""

    name: str
    kind: FieldKind = "text"
    title: str = ""
    description: str = ""
    options: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[str, ...]:
        """What can be picked."""
        return (YES, NO) if self.kind == "boolean" else self.options


@dataclass(frozen=True, slots=True)
class FormAsked:
    """What the program asks, and for what; ``call_id`` is the tool call it asks in, if it says."""

    message: str
    fields: tuple[Field, ...] = ()
    call_id: str = ""

    @property
    def questions(self) -> tuple[Field, ...]:
        """The fields without those for own words beside another."""
        names = {field.name for field in self.fields}
        return tuple(
            field
            for field in self.fields
            if not (field.name.endswith(_COMPANION) and field.name.removesuffix(_COMPANION) in names)
        )


def options_of(form: FormAsked) -> tuple[str, ...]:
    """What the user can pick with one click: the choices of the only question."""
    return form.questions[0].choices if len(form.questions) == 1 else ()


def described(form: FormAsked) -> str:
    """What the user must know to answer, as Markdown."""
    if len(form.questions) == 1:
        return "\n\n".join(_about(form.questions[0]))
    lines = ["Answer with one line for each, such as `1: …`:"]
    for number, field in enumerate(form.questions, start=1):
        about = " ".join(_about(field)) or field.name
        choices = f" ({' / '.join(field.choices)})" if field.choices else ""
        lines.append(f"{number}. {about}{choices}")
    return "\n".join(lines) if form.questions else ""


def filled(form: FormAsked, answer: Answer) -> Mapping[str, Value] | None:
    """The values of the fields by the user's answer; None when it declines. What cannot be read is left out."""
    if answer.action != "resume":
        return None
    if len(form.questions) != 1:
        return dict(_by_lines(form, answer.text))
    (field,) = form.questions
    own_words = next((item.name for item in form.fields if item is not field), "")
    text, values = answer.text.strip(), dict[str, Value]()
    picked = answer.option or (text if not own_words else _matching(text, field.choices))
    if picked and (value := _value(field, picked)) is not None:
        values[field.name] = value
    if own_words and text and text.casefold() != picked.casefold():
        values[own_words] = text
    return values


def _about(field: Field) -> Iterator[str]:
    yield from (text for text in (field.title, field.description) if text)


def _by_lines(form: FormAsked, text: str) -> Iterator[tuple[str, Value]]:
    for line in text.splitlines():
        named, _, given = line.partition(":")
        field = _named(form.questions, named.strip())
        if field is None or not given.strip():
            continue
        value = _value(field, given.strip())
        if value is not None:
            yield field.name, value
        elif f"{field.name}{_COMPANION}" in {item.name for item in form.fields}:
            yield f"{field.name}{_COMPANION}", given.strip()


def _named(fields: Sequence[Field], name: str) -> Field | None:
    for number, field in enumerate(fields, start=1):
        if name.casefold() in (str(number), field.name.casefold(), field.title.casefold()):
            return field
    return None


def _value(field: Field, text: str) -> Value | None:
    match field.kind:
        case "text":
            return text
        case "boolean":
            return {YES: True, NO: False}.get(_matching(text, field.choices))
        case "choice":
            return _matching(text, field.options) or None
        case "choices":
            parts = text.replace("\n", ",").split(",")
            return [found for part in parts if (found := _matching(part.strip(), field.options))] or None
        case "integer" | "number":
            return _number(text, whole=field.kind == "integer")


def _number(text: str, *, whole: bool) -> int | float | None:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        return None


def _matching(text: str, options: Sequence[str]) -> str:
    """The option that is meant, whatever its case; empty when none is."""
    return next((option for option in options if option.casefold() == text.casefold()), "")
