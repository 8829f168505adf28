"""``decide``: what the rules of an agent say of something it wants to do. Pure: the same in, the same out.

One entry for all who ask: the permission requests of agents' programs, tools, and the loops that act themselves.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.patterns import WORKSPACE, Fit, absolute, allows, catches, fits_path, fits_text, holds
from app.domain.rules import Rules, Verdict
from app.domain.shell import UNKNOWN, Script, Simple, read_script, shown
from app.domain.shell.wrappers import program

_RANK: Final = {"allow": 0, "ask": 1, "deny": 2}
_WRITERS: Final = frozenset(
    {"rm", "rmdir", "mv", "cp", "tee", "touch", "truncate", "dd", "ln", "install", "chmod", "chown", "chgrp", "mkdir"}
    | {"patch", "rsync", "shred", "unlink", "unzip"}
)
"""Programs that change the files they are given. Others are taken for readers; redirections are seen by themselves."""
_TELLING: Final = frozenset({"PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "IFS"})
"""Variables that change which program a name stands for: where one is set, nothing is allowed by its name."""


@dataclass(frozen=True, slots=True)
class RunCommand:
    """The agent wants to run a shell command in ``folder``."""

    command: str
    folder: str = WORKSPACE


@dataclass(frozen=True, slots=True)
class ChangeFiles:
    """The agent wants to write these files with a tool of its own; without any it did not say which."""

    paths: tuple[str, ...]
    folder: str = WORKSPACE


@dataclass(frozen=True, slots=True)
class UseTool:
    """The agent wants to do something that is neither a command nor a change of files; ``title`` says what.

    ``own``: a tool of Skerry, by its name. It is allowed where no rule names it, whatever ``approve`` says: all that it
    can do is looked after by the host.
    """

    title: str
    own: bool = False


Wish = RunCommand | ChangeFiles | UseTool


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, the rule that gave it (``commands.deny: git push *``), and why in words for a person."""

    verdict: Verdict
    rule: str
    why: str
    part: str = ""
    """The part of the command that the rule is about."""
    pattern: str = ""
    """The pattern as rules.md has it, to be found there; empty when no pattern gave the verdict."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided on the whole, and on each part of it; ``always`` is what to remember of an "always"."""

    decision: Decision
    parts: tuple[Decision, ...] = ()
    script: Script | None = None
    always: tuple[str, ...] = ()


def decide(rules: Rules, wish: Wish, always: Sequence[str] = ()) -> Judged:
    """What the rules say of ``wish``. ``always``: commands that the user has allowed; never over a denial."""
    match wish:
        case RunCommand():
            return _decide_command(rules, wish, always)
        case ChangeFiles():
            return _of(_decide_files(rules, wish))
        case UseTool():
            return _of([_decide_tool(rules, wish)])


def remembered(words: Sequence[str]) -> str:
    """A command as a pattern that fits it alone."""
    return " ".join(_escaped(shlex.quote(word)) for word in words)


def _decide_command(rules: Rules, wish: RunCommand, always: Sequence[str]) -> Judged:
    if rules.silent:
        return _of([Decision("allow", "approve: auto", "the rules name no commands and no files", wish.command)])
    script = read_script(wish.command)
    parts = [
        part
        for command, here in _placed(script, wish.folder)
        for part in _of_simple(rules, script, command, here, always)
    ]
    parts += _of_redirections(rules, script, wish.folder)
    parts += [_unclear(rules, why, wish.command) for why in dict.fromkeys(script.unclear)]
    if not parts:
        parts = [_by_default(rules, wish.command)]
    if _escaped(wish.command.strip()) in always:
        parts = [_allowed_always(part) if part.verdict == "ask" else part for part in parts]
    judged = _of(parts)
    return Judged(judged.decision, judged.parts, script, _to_remember(wish, script, parts))


def _placed(script: Script, folder: str) -> Iterator[tuple[Simple, str | None]]:
    """Each command with the folder it runs in, None from where on only the running shell knows."""
    here: str | None = folder
    for command in script.commands:
        yield command, here
        here = _moved(command, here)


def _moved(command: Simple, here: str | None) -> str | None:
    if command.words[0] not in ("cd", "pushd", "popd"):
        return here
    target = command.words[1] if len(command.words) > 1 else "~"
    known = command.words[0] != "popd" and UNKNOWN not in target and not target.startswith("-")
    return absolute(target, here) if known and here is not None else None


def _of_simple(
    rules: Rules, script: Script, command: Simple, here: str | None, always: Sequence[str]
) -> Iterator[Decision]:
    yield _of_words(rules, script, command, here, always)
    name = program(command.words[0])
    for word in _paths_in(command):
        yield from _of_path(rules, here, word, changes=_changes(name, command), whole=name in _WRITERS)


def _of_words(rules: Rules, script: Script, command: Simple, here: str | None, always: Sequence[str]) -> Decision:
    """What the rules say of one simple command: denied before asked before allowed."""
    line, perhaps = command.line, None
    for pattern in rules.commands.deny:
        fit = catches(pattern, command.words, here)
        if fit is Fit.YES:
            return Decision("deny", f"commands.deny: {pattern}", f"{line} is denied by your rules", line, pattern)
        if fit is Fit.PERHAPS and perhaps is None:
            perhaps = _perhaps(rules, f"commands.deny: {pattern}", line, pattern)
    if perhaps is not None:
        return perhaps
    if any(_is_remembered(entry, command.words) for entry in always):
        return Decision("allow", "approvals.yaml", f"you have allowed {line} for always", line)
    asked = next((pattern for pattern in rules.commands.ask if catches(pattern, command.words, here)), None)
    if asked is not None:
        return Decision("ask", f"commands.ask: {asked}", f"{line} needs an approval by your rules", line, asked)
    for pattern in () if script.environment & _TELLING else rules.commands.allow:
        if allows(pattern, command.words):
            return Decision("allow", f"commands.allow: {pattern}", f"{line} is allowed by your rules", line, pattern)
    return _by_default(rules, line)


def _of_redirections(rules: Rules, script: Script, folder: str) -> Iterator[Decision]:
    places = {folder: None, **{here: None for command in script.commands for here in [_moved(command, folder)]}}
    for here in places:
        for word in script.written:
            yield from _of_path(rules, here, word, changes=True)
        for word in script.read:
            yield from _of_path(rules, here, word, changes=False)


def _of_path(rules: Rules, here: str | None, word: str, *, changes: bool, whole: bool = False) -> Iterator[Decision]:
    if here is None and not word.startswith(("/", "~")):
        here, word = "/", f"{UNKNOWN}/{word}"
    path = absolute(word, here or "/")
    kinds = [("files.deny", rules.files.deny), ("files.read_only", rules.files.read_only if changes else ())]
    for rule, patterns in kinds:
        for pattern in patterns:
            fit = fits_path(pattern, path)
            if fit is Fit.NO and whole and holds(path, pattern):
                fit = Fit.YES
            name = f"{rule}: {pattern}"
            if fit is Fit.YES:
                yield Decision("deny", name, f"{shown(path)} is out of bounds by your rules", shown(path), pattern)
            elif fit is Fit.PERHAPS and word != UNKNOWN:
                yield _perhaps(rules, name, shown(path), pattern)


def _paths_in(command: Simple) -> Iterator[str]:
    for word in command.words[1:]:
        yield from (part for part in {word, word.partition("=")[2]} if part and not part.startswith("-"))


def _changes(name: str, command: Simple) -> bool:
    in_place = name in ("sed", "perl") and any(word.startswith(("-i", "--in-place")) for word in command.words)
    return name in _WRITERS or in_place or (name == "find" and "-delete" in command.words)


def _decide_files(rules: Rules, wish: ChangeFiles) -> list[Decision]:
    if not wish.paths:
        return [_unclear(rules, "it is not said which files change", "a change of files")]
    found: list[Decision] = []
    for path in wish.paths:
        against = list(_of_path(rules, wish.folder, path, changes=True, whole=True))
        found += against or [_by_default(rules, path)]
    return found


def _decide_tool(rules: Rules, wish: UseTool) -> Decision:
    of_verdicts: tuple[tuple[Verdict, Sequence[str]], ...] = (("deny", rules.tools.deny), ("ask", rules.tools.ask))
    for verdict, patterns in of_verdicts:
        for pattern in patterns:
            if fits_text(pattern, wish.title) is Fit.YES:
                rule = f"tools.{verdict}: {pattern}"
                why = "is denied by your rules" if verdict == "deny" else "is to be asked about"
                return Decision(verdict, rule, f"{wish.title} {why}", wish.title, pattern)
    if wish.own:
        return Decision("allow", "tools of Skerry", "no rule names it", wish.title)
    return _by_default(rules, wish.title)


def _by_default(rules: Rules, what: str) -> Decision:
    verdict: Verdict = "allow" if rules.approve == "auto" else rules.approve
    return Decision(verdict, f"approve: {rules.approve}", f"no rule names {what}", what)


def _perhaps(rules: Rules, rule: str, what: str, pattern: str) -> Decision:
    verdict: Verdict = "deny" if rules.approve == "deny" else "ask"
    return Decision(
        verdict, rule, f"{what} could be what this rule denies; only the running shell knows", what, pattern
    )


def _unclear(rules: Rules, why: str, what: str) -> Decision:
    verdict: Verdict = "deny" if rules.approve == "deny" else "ask"
    return Decision(verdict, "what cannot be read", why, what)


def _allowed_always(part: Decision) -> Decision:
    return Decision("allow", "approvals.yaml", f"you have allowed this for always ({part.rule})", part.part)


def _is_remembered(entry: str, words: Sequence[str]) -> bool:
    """Whether an entry of approvals.yaml is this command, or a pattern that a person wrote fits it."""
    return not any(UNKNOWN in word for word in words) and (entry == remembered(words) or allows(entry, words))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _to_remember(wish: RunCommand, script: Script, parts: Sequence[Decision]) -> tuple[str, ...]:
    """The commands that were asked about; the whole text when a part of it cannot be named."""
    asked = {part.part for part in parts if part.verdict == "ask"}
    simple = [command for command in script.commands if command.line in asked]
    if script.unclear or len({item.line for item in simple}) < len(asked) or _any_unknown(simple):
        return (_escaped(wish.command.strip()),)
    return tuple(dict.fromkeys(remembered(command.words) for command in simple))


def _any_unknown(commands: Sequence[Simple]) -> bool:
    return any(UNKNOWN in word for command in commands for word in command.words)


def _of(parts: Sequence[Decision]) -> Judged:
    """The strictest of all parts, the first of those."""
    return Judged(max(parts, key=lambda part: _RANK[part.verdict]), tuple(parts))
