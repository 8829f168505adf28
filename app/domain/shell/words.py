"""The words of a shell command as the shell would hand them over, as far as that can be known beforehand.

A word is text in which ``UNKNOWN`` stands for what only the running shell knows: variables, results of commands, what a
wildcard finds. Quoting rules: Bash Reference Manual, 3.1.2 and 3.5.
"""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

UNKNOWN: Final = "\0"
"""No argument of a program can hold it, so it cannot be confused with text."""

HOME: Final = "/home/agent"
"""What ``~`` stands for inside a machine."""

_EXPANSIONS: Final = frozenset(
    {"simple_expansion", "expansion", "command_substitution", "arithmetic_expansion", "process_substitution"}
)
_BARE: Final = frozenset({"word", "number", "variable_name", "test_operator", "brace_expression", "file_descriptor"})
WORDS: Final = _EXPANSIONS | _BARE | {"string", "raw_string", "ansi_c_string", "translated_string", "concatenation"}
"""Kinds of nodes that are a word, or a part of one."""

_ESCAPES: Final = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "?": "?",
}
_ESCAPE: Final = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|(.))", re.S)
_BRACES: Final = re.compile(r"\{.*(,|\.\.).*\}", re.S)
"""A brace expansion, which makes several words of one."""


def text_of(node: Node) -> str:
    """The source of a node."""
    return "" if node.text is None else node.text.decode()


def word_of(node: Node) -> str:
    """The word that a node stands for."""
    if node.type in ("word", "concatenation") and _BRACES.search(text_of(node)):
        return UNKNOWN
    word = _value(node)
    at_home = text_of(node).startswith("~") and (word == "~" or word.startswith("~/"))
    return f"{HOME}{word[1:]}" if at_home else word


def shown(word: str) -> str:
    """A word for people."""
    return word.replace(UNKNOWN, "…")


def _value(node: Node) -> str:
    match node.type:
        case "raw_string":
            return text_of(node)[1:-1]
        case "ansi_c_string":
            return _ansi(text_of(node)[2:-1])
        case "string" | "translated_string":
            return _double_quoted(node)
        case "concatenation" | "command_name":
            return _joined(node)
        case kind if kind in _BARE and kind != "brace_expression":
            return _bare(text_of(node))
        case _:
            return UNKNOWN


def _joined(node: Node) -> str:
    """Parts that stand side by side; what stands between two of them belongs to none and is read as plain text."""
    source = (node.text or b"") if node.text is not None else b""
    parts, at = [], node.start_byte
    for child in node.children:
        parts += [_bare(source[at - node.start_byte : child.start_byte - node.start_byte].decode()), _part(child)]
        at = child.end_byte
    return "".join(parts) + _bare(source[at - node.start_byte :].decode())


def _part(node: Node) -> str:
    return _value(node) if node.is_named else _bare(text_of(node))


def _bare(text: str) -> str:
    """Text outside of quotes: an escape is the character behind it, a wildcard stands for what it finds."""
    found, at = [], 0
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            found.append(text[at + 1 : at + 2].replace("\n", ""))
            at += 2
            continue
        found.append(UNKNOWN if sign in "*?[`$" else sign)
        at += 1
    return "".join(found)


def _double_quoted(node: Node) -> str:
    source = text_of(node)
    begin = node.start_byte
    raw, parts = source.encode(), []
    at = raw.index(b'"') + 1
    for child in node.children:
        if child.type in _EXPANSIONS:
            end = child.start_byte - begin
            blank = raw[end : child.end_byte - begin]  # the grammar counts blanks before it as a part of it
            end += len(blank) - len(blank.lstrip(b" \t\n"))
            parts += [_escaped(raw[at:end].decode()), UNKNOWN]
            at = child.end_byte - begin
    return "".join(parts) + _escaped(raw[at:-1].decode())


def _escaped(text: str) -> str:
    """In double quotes a backslash is one unless it stands before a character that means something there."""
    return re.sub(r'\\([$`"\\\n])', lambda found: found[1].replace("\n", ""), text)


def _ansi(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        octal, short, four, eight, sign = found.groups()
        if sign is not None:
            return _ESCAPES.get(sign, UNKNOWN)
        number = int(octal, 8) if octal else int(short or four or eight, 16)
        return chr(number) if 0 < number < 0x80 else UNKNOWN

    return _ESCAPE.sub(one, text)
