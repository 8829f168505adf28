"""ACP's elicitation requests in our words, and the user's values in theirs. All of it comes from a guest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from acp.schema import (
    AcceptElicitationResponse,
    CancelElicitationResponse,
    DeclineElicitationResponse,
    ElicitationBooleanPropertySchema,
    ElicitationFormSessionMode,
    ElicitationIntegerPropertySchema,
    ElicitationMode,
    ElicitationMultiSelectPropertySchema,
    ElicitationNumberPropertySchema,
    ElicitationStringPropertySchema,
    EnumOption,
    TitledMultiSelectItems,
)

from app.domain.forms import Field, FieldKind, FormAsked, Value

MAX_FIELDS: Final = 20
_MAX_OPTIONS: Final = 50
_KINDS: Final[Mapping[type[Any], FieldKind]] = {
    ElicitationStringPropertySchema: "text",
    ElicitationNumberPropertySchema: "number",
    ElicitationIntegerPropertySchema: "integer",
    ElicitationBooleanPropertySchema: "boolean",
}

Response = AcceptElicitationResponse | DeclineElicitationResponse | CancelElicitationResponse


def form_of(message: str, mode: ElicitationMode) -> FormAsked | None:
    """The form; None for what we do not show (an address to open in a browser, fields of unknown kinds)."""
    if not isinstance(mode, ElicitationFormSessionMode):
        return None
    properties = mode.requested_schema.properties or {}
    fields = [_field(name, schema) for name, schema in list(properties.items())[:MAX_FIELDS]]
    known = tuple(field for field in fields if field is not None)
    return FormAsked(message, known, mode.tool_call_id or "") if len(known) == len(properties) else None


def response_to(values: Mapping[str, Value] | None) -> Response:
    """What the program is told: the values, or that the user declined."""
    if values is None:
        return DeclineElicitationResponse(action="decline")
    return AcceptElicitationResponse(action="accept", content=dict(values))


def _field(name: str, schema: Any) -> Field | None:
    title, about = getattr(schema, "title", None) or "", getattr(schema, "description", None) or ""
    if isinstance(schema, ElicitationMultiSelectPropertySchema):
        options = _titled(schema.items.any_of) if isinstance(schema.items, TitledMultiSelectItems) else _plain(schema)
        return _choice(name, "choices", title, about, options)
    if isinstance(schema, ElicitationStringPropertySchema) and (schema.one_of or schema.enum):
        options = _titled(schema.one_of) if schema.one_of else dict.fromkeys(schema.enum or (), "")
        return _choice(name, "choice", title, about, options)
    kind = _KINDS.get(type(schema))
    return None if kind is None else Field(name, kind, title, about)


def _choice(name: str, kind: FieldKind, title: str, about: str, options: Mapping[str, str]) -> Field:
    told = "\n".join(f"* {option}: {words}" for option, words in options.items() if words)
    return Field(name, kind, title, "\n\n".join(filter(None, (about, told))), tuple(options)[:_MAX_OPTIONS])


def _titled(options: Iterable[EnumOption]) -> dict[str, str]:
    return {option.const: option.description or "" for option in options}


def _plain(schema: ElicitationMultiSelectPropertySchema) -> dict[str, str]:
    return dict.fromkeys(getattr(schema.items, "enum", None) or (), "")
