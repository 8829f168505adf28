"""Programs that run other programs: what stands behind ``sudo``, ``env``, ``xargs``, ``sh -c`` and the like.

Options are those of the GNU and util-linux manual pages. An option that is not known here may or may not take the next
word with it: then both readings are given, and a rule counts that fits one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from app.domain.shell.script import Simple
from app.domain.shell.words import UNKNOWN

SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash"})


@dataclass(slots=True)
class Inner:
    """What a command runs in turn: as words, or as text that a shell reads."""

    commands: list[tuple[str, ...]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Wrapper:
    """``valued``: its options that take the next word; ``operands``: words before the program it runs."""

    valued: str = ""
    operands: int = 0
    plain: str = ""
    appended: bool = False
    """Whether it adds words of its own."""


_WRAPPERS: Final[Mapping[str, _Wrapper]] = {
    "sudo": _Wrapper(
        "-u -g -h -p -C -r -t -U -D -R -T --user --group --host --prompt --chdir", plain="-n -E -H -k -S -b"
    ),
    "doas": _Wrapper("-u -C", plain="-n"),
    "pkexec": _Wrapper("--user"),
    "nice": _Wrapper("-n --adjustment"),
    "ionice": _Wrapper("-c -n --class --classdata", plain="-t"),
    "chrt": _Wrapper("-T -P -D", 1, "-f -r -o -b -i -d"),
    "taskset": _Wrapper("", 1, "-c"),
    "nohup": _Wrapper(),
    "setsid": _Wrapper(plain="-c -f -w --ctty --fork --wait"),
    "stdbuf": _Wrapper("-i -o -e --input --output --error"),
    "timeout": _Wrapper("-k -s --kill-after --signal", 1, "--foreground --preserve-status -v"),
    "time": _Wrapper("-f -o --format --output", plain="-p -v -a"),
    "xargs": _Wrapper(
        "-a -d -E -I -L -n -P -s --max-args --max-procs --delimiter --arg-file", 0, "-0 -r -t -p -x", True
    ),
    "parallel": _Wrapper("-j -n -N -a", 0, "-0 -k", True),
    "command": _Wrapper(plain="-p"),
    "builtin": _Wrapper(),
    "exec": _Wrapper("-a", plain="-c -l"),
    "coproc": _Wrapper(),
    "chroot": _Wrapper("--userspec --groups", 1),
    "unshare": _Wrapper(plain="-r -m -n -p -f -u -i -U"),
    "nsenter": _Wrapper("-t", plain="-m -n -p -u -i -U"),
    "strace": _Wrapper("-e -o -p -s -u -E", plain="-f -c -tt -v"),
    "ltrace": _Wrapper("-e -o -p -s -u", plain="-f -c"),
    "systemd-run": _Wrapper("-p -u --unit --property", plain="--user --scope --wait --pipe -t"),
    "busybox": _Wrapper(),
    "toybox": _Wrapper(),
    "fakeroot": _Wrapper("-i -s"),
    "catchsegv": _Wrapper(),
    "runuser": _Wrapper("-u -g -G --user --group"),
    "setpriv": _Wrapper("--reuid --regid --groups"),
    "prlimit": _Wrapper("-p"),
    "numactl": _Wrapper("-m -N -C"),
    "dbus-run-session": _Wrapper(),
    "xvfb-run": _Wrapper("-e -f -n -p -s -w", plain="-a -l"),
}


def program(word: str) -> str:
    """A program by its name alone: ``/usr/bin/git`` is ``git``."""
    return PurePosixPath(word).name or word


def inner(command: Simple) -> Inner:
    """What ``command`` runs besides itself."""
    name = program(command.words[0])
    special = _SPECIAL.get(name)
    if special is not None:
        return special(command)
    if name in SHELLS:
        return _shell(command)
    wrapper = _WRAPPERS.get(name)
    return Inner() if wrapper is None else _wrapped(name, wrapper, command.words[1:])


def _wrapped(name: str, wrapper: _Wrapper, words: tuple[str, ...]) -> Inner:
    found = Inner()
    for reading in _after_options(wrapper, words):
        rest = _without_assignments(reading[wrapper.operands :])
        if rest:
            found.commands.append((*rest, UNKNOWN) if wrapper.appended else rest)
    if name in ("sudo", "doas") and any(_is_flag(word, "is") for word in words[:2]) and not found.commands:
        found.unclear.append(f"{name} opens a shell")
    if name == "parallel":
        found.unclear.append("parallel makes its commands of what it reads")
    if words and UNKNOWN in words[0] and found.commands:
        found.unclear.append(f"the options of {name} are only known when it runs")
    return found


def _without_assignments(words: tuple[str, ...]) -> tuple[str, ...]:
    """``sudo A=b git`` and ``env A=b git`` run git; other wrappers fail on it, and it does no harm to look further."""
    while words and "=" in words[0].lstrip("="):
        words = words[1:]
    return words


def _after_options(wrapper: _Wrapper, words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """What may follow the options; more than one reading where an option is not known."""
    valued, plain = wrapper.valued.split(), wrapper.plain.split()
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return [words[at + 1 :]]
        if not word.startswith("-") or word == "-":
            return [words[at:]]
        if word in valued:
            at += 2
        elif word in plain or "=" in word or word[:2] in valued:
            at += 1
        else:
            readings = [words[at + 1 :], words[at + 2 :]]
            return [rest for words_left in readings for rest in _after_options(wrapper, words_left) if rest]
    return []


def _is_flag(word: str, letters: str) -> bool:
    return word.startswith("-") and not word.startswith("--") and any(sign in word[1:] for sign in letters)


def _shell(command: Simple) -> Inner:
    """``sh -c text``, a shell that reads what it is given, or one that runs a file."""
    words = command.words[1:]
    found = Inner()
    at = 0
    while at < len(words) and words[at][:1] in ("-", "+") and words[at] not in ("-", "--"):
        if _is_flag(words[at], "c"):
            return _text(words, at + 1, found)
        at += 2 if words[at] in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file") else 1
    if at < len(words) and UNKNOWN in words[at]:
        found.unclear.append("what the shell runs is only known when it does")
    elif at >= len(words) or words[at] in ("-", "--") or "-s" in words[:at]:
        _reads_commands(command, found)
    return found


def _text(words: tuple[str, ...], at: int, found: Inner) -> Inner:
    while at < len(words) and words[at][:1] in ("-", "+"):  # sh -c -e text
        at += 1
    if at >= len(words):
        return found
    _add_text(words[at], found)
    return found


def _add_text(text: str, found: Inner) -> None:
    if UNKNOWN in text:
        found.unclear.append("what the shell runs is only known when it does")
        text = text.replace(UNKNOWN, "$_")
    found.scripts.append(text)


def _reads_commands(command: Simple, found: Inner) -> None:
    if command.stdin is None:
        found.unclear.append(f"{program(command.words[0])} reads its commands from elsewhere")
    else:
        _add_text(command.stdin, found)


def _env(command: Simple) -> Inner:
    wrapper = _Wrapper("-u -C --unset --chdir", plain="-i -0 -v --ignore-environment --null --debug -")
    words, found = command.words[1:], Inner()
    for at, word in enumerate(words):
        if word in ("-S", "--split-string") or word.startswith(("-S", "--split-string=")):
            text = words[at + 1] if word in ("-S", "--split-string") and at + 1 < len(words) else ""
            text = text or word.removeprefix("--split-string=").removeprefix("-S")
            _add_text(" ".join([text, *words[at + 2 :]]), found)
            return found
        if not word.startswith("-"):
            break
    for rest in _after_options(wrapper, tuple(word for word in words if word != "-")):
        if kept := _without_assignments(rest):
            found.commands.append(kept)
    return found


def _find(command: Simple) -> Inner:
    found, words = Inner(), command.words
    for at, word in enumerate(words):
        if word in ("-exec", "-execdir", "-ok", "-okdir"):
            rest = words[at + 1 :]
            ends = [place for place, other in enumerate(rest) if other in (";", "+")]
            run = rest[: ends[0]] if ends else rest
            if run:
                found.commands.append(tuple(UNKNOWN if "{}" in part else part for part in run))
    return found


def _ssh(command: Simple) -> Inner:
    valued = "-b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w"
    found = Inner()
    for rest in _after_options(_Wrapper(valued, plain="-t -T -n -N -f -A -q -v -4 -6 -x -X"), command.words[1:]):
        if rest[1:]:
            _add_text(" ".join(rest[1:]), found)
        elif command.stdin is not None:
            _add_text(command.stdin, found)
    return found


def _eval(command: Simple) -> Inner:
    found = Inner()
    if command.words[1:]:
        _add_text(" ".join(command.words[1:]), found)
    return found


def _first(command: Simple) -> Inner:
    """``trap 'commands' SIGNALS``."""
    found = Inner()
    words = [word for word in command.words[1:] if not word.startswith("-")]
    if words:
        _add_text(words[0], found)
    return found


def _alias(command: Simple) -> Inner:
    found = Inner()
    for word in command.words[1:]:
        if "=" in word:
            _add_text(word.partition("=")[2], found)
    return found


def _su(command: Simple) -> Inner:
    """``su -c text user``, ``script -c text``, ``flock file -c text``, ``watch words``."""
    found, words = Inner(), command.words[1:]
    for at, word in enumerate(words):
        if word.startswith("--command="):
            _add_text(word.partition("=")[2], found)
        elif word == "--command" or (_is_flag(word, "c") and not word.startswith("--")):
            return _text(words, at + 1, found)
    if not found.scripts:
        found.unclear.append(f"{program(command.words[0])} opens a shell")
    return found


def _flock(command: Simple) -> Inner:
    words = command.words[1:]
    if any(word in ("-c", "--command") for word in words):
        return _su(command)
    return _wrapped("flock", _Wrapper("-w -E --timeout --conflict-exit-code", 1, "-n -s -x -u -o"), words)


def _watch(command: Simple) -> Inner:
    found = Inner()
    for rest in _after_options(_Wrapper("-n --interval", plain="-d -t -g -c -x -e -b"), command.words[1:]):
        if rest:
            _add_text(" ".join(rest), found)
    return found


def _command(command: Simple) -> Inner:
    words = command.words[1:]
    if words and _is_flag(words[0], "vV"):
        return Inner()  # says where a program is, and runs nothing
    return _wrapped("command", _WRAPPERS["command"], words)


_SPECIAL: Final[Mapping[str, Callable[[Simple], Inner]]] = {
    "env": _env,
    "find": _find,
    "ssh": _ssh,
    "eval": _eval,
    "trap": _first,
    "alias": _alias,
    "su": _su,
    "script": _su,
    "flock": _flock,
    "watch": _watch,
    "command": _command,
}
