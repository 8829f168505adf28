"""A shell script taken apart into the simple commands it could run, however they are nested.

The grammar is tree-sitter's for bash. What it cannot read, or reads with a mistake in it, is said in
``Script.unclear``; so is a command whose program is only known when the shell runs. Nothing is left out in silence.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Final

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from app.domain.shell.words import UNKNOWN, WORDS, shown, text_of, word_of

MAX_BYTES: Final = 65_536
MAX_WORDS: Final = 1000
MAX_DEPTH: Final = 8
"""How deep commands within commands (``sh -c``, ``eval``) are followed."""

_RESERVED: Final = frozenset(
    ("if", "then", "else", "elif", "fi", "do", "done", "while", "until", "for", "in", "case", "esac", "select")
) | frozenset(("function", "{", "}", "!", "[[", "]]"))
_LAYOUT: Final = frozenset({"\n", "\t", " "})
_WRITING: Final = (">", ">>", ">|", "&>", "&>>", ">&", "<>")


@dataclass(frozen=True, slots=True)
class Simple:
    """One program with its arguments; ``words`` may hold ``UNKNOWN`` parts. ``text`` is how it was written."""

    words: tuple[str, ...]
    text: str = ""
    stdin: str | None = None
    """What it is given to read by a here-document or here-string, None when that comes from elsewhere."""

    @property
    def line(self) -> str:
        """For people: the command as the shell sees it."""
        return " ".join(shown(word) if word else "''" for word in self.words)


@dataclass(slots=True)
class Script:
    """All that a script could run, write and read; ``unclear`` says, in words, what could not be told."""

    commands: list[Simple] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    """Files that redirections write."""
    read: list[str] = field(default_factory=list)
    """Files that redirections read."""
    unclear: list[str] = field(default_factory=list)
    environment: set[str] = field(default_factory=set)
    """Variables that it sets."""

    def add(self, other: Script) -> None:
        """Take over what another script would do."""
        self.commands += other.commands
        self.written += other.written
        self.read += other.read
        self.unclear += other.unclear
        self.environment |= other.environment


def read_script(text: str, depth: int = 0) -> Script:
    """What ``text`` would run. Never raises: what cannot be read is said to be unclear."""
    script = Script()
    trouble = _trouble(text, depth)
    if trouble:
        script.unclear.append(trouble)
        return script
    tree = Parser(_language()).parse(text.encode())
    if tree.root_node.has_error:
        script.unclear.append("it is no shell command that can be read with certainty")
    for node in _nodes(tree.root_node):
        _take(node, script)
    _follow(script, depth)
    return script


@functools.cache
def _language() -> Language:
    return Language(tree_sitter_bash.language())


def _trouble(text: str, depth: int) -> str:
    """Why a text is not even looked at: the shell and the grammar could see different things in it."""
    if depth > MAX_DEPTH:
        return "commands are nested too deeply"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it holds half characters (surrogates)"
    if size > MAX_BYTES:
        return f"it has more than {MAX_BYTES} bytes"
    odd = next((sign for sign in text if not sign.isprintable() and sign not in _LAYOUT), None)
    if odd is None:
        odd = next((sign for sign in text if sign.isspace() and sign not in _LAYOUT), None)
    return "" if odd is None else f"it holds the character U+{ord(odd):04X}"


def _nodes(root: Node) -> list[Node]:
    """All nodes, in the order of the text."""
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += reversed(node.children)
    return found


def _take(node: Node, script: Script) -> None:
    match node.type:
        case "command":
            _take_command(node, script)
        case "declaration_command" | "unset_command":
            script.commands.append(Simple(tuple(text_of(node).split(None, 1)[:1]), text_of(node)))
        case "variable_assignment":
            script.environment.add(text_of(node).partition("=")[0].rstrip("+"))
        case "file_redirect":
            _take_redirect(node, script)
        case "heredoc_redirect":
            _check_heredoc(node, script)
        case "comment":
            _check_comment(node, script)
        case "ERROR":
            script.unclear.append(f"this cannot be read: {text_of(node)[:60]!r}")
        case "extglob_pattern" if "(" in text_of(node):
            script.unclear.append("an extended pattern")
        case _:
            pass


def _take_command(node: Node, script: Script) -> None:
    words: list[str] = []
    for child in node.children:
        if child.type == "command_name":
            words.append(word_of(child.children[0]) if len(child.children) == 1 else UNKNOWN)
        elif child.type in WORDS:
            words.append(word_of(child))
        elif child.is_named and child.type not in ("variable_assignment", "herestring_redirect", "file_redirect"):
            words.append(UNKNOWN)
    if len(words) > MAX_WORDS:
        script.unclear.append(f"a command of more than {MAX_WORDS} words")
    if words:
        script.commands.append(Simple(tuple(words[:MAX_WORDS]), text_of(node), _given(node)))


def _given(command: Node) -> str | None:
    """What a here-string or here-document gives to a command."""
    for child in command.children:
        if child.type == "herestring_redirect":
            return word_of(child.children[-1])
    parent = command.parent
    if parent is None or parent.type != "redirected_statement":
        return None
    for child in parent.children:
        if child.type == "herestring_redirect":
            return word_of(child.children[-1])
        if child.type == "heredoc_redirect":
            body = next((part for part in child.children if part.type == "heredoc_body"), None)
            return UNKNOWN if body is None or any(c.type != "heredoc_content" for c in body.children) else text_of(body)
    return None


def _take_redirect(node: Node, script: Script) -> None:
    sign = next((text_of(child) for child in node.children if not child.is_named), "")
    target = node.children[-1]
    if target.type not in WORDS:
        return
    word = word_of(target)
    if sign in (">&", "<&") and (word.isdigit() or word == "-"):
        return
    (script.written if sign in _WRITING else script.read).append(word)


def _check_heredoc(node: Node, script: Script) -> None:
    """The grammar is unsure about several here-documents in one statement, and about odd ends."""
    parent = node.parent
    if parent is not None and sum(child.type == "heredoc_redirect" for child in parent.children) > 1:
        script.unclear.append("several here-documents in one command")
    start = next((text_of(child) for child in node.children if child.type == "heredoc_start"), "")
    if not start.strip("'\"").replace("_", "").isalnum():
        script.unclear.append(f"a here-document that ends with {start!r}")
    quoted = start[:1] in "'\""
    body = next((child for child in node.children if child.type == "heredoc_body"), None)
    if body is not None and not quoted and "`" in text_of(body):
        script.unclear.append("a command in backquotes within a here-document")


def _check_comment(node: Node, script: Script) -> None:
    """A ``#`` begins a comment only where a word could begin."""
    root = node
    while root.parent is not None:
        root = root.parent
    before = (root.text or b"")[node.start_byte - 1 : node.start_byte].decode(errors="replace")
    if node.start_byte and before not in (" ", "\t", "\n", ";", "&", "|", "(", ")"):
        script.unclear.append("a '#' within a word")


def _follow(script: Script, depth: int) -> None:
    """Add what the commands would run in turn."""
    from app.domain.shell.wrappers import inner

    for command in list(script.commands):
        if UNKNOWN in command.words[0] or not command.words[0]:
            script.unclear.append(f"which program runs is only known when it does: {command.text[:120]}")
            continue
        found = inner(command)
        if command.words[0] in _RESERVED:  # the grammar has taken a part of a construct for a command
            script.unclear.append(f"it is not clear what {command.words[0]!r} begins or ends")
            found.commands += [command.words[1:]] * bool(command.words[1:])
        script.unclear += found.unclear
        for text in found.scripts:
            script.add(read_script(text, depth + 1))
        for words in found.commands:
            more = Script(commands=[Simple(words, command.text, command.stdin)])
            if depth < MAX_DEPTH:
                _follow(more, depth + 1)
            else:
                more.unclear.append("commands are nested too deeply")
            script.add(more)
