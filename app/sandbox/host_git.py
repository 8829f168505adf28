"""git on this host, kept away from what a machine could have put in its way. Everything blocks."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from app.domain.errors import SkerryError
from app.sandbox.host_tools import find_tool

SECONDS = 120.0
OUTPUT_LIMIT = 16 * 2**20
_MEMORY = 8 * 2**30
_SAFE = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.logAllRefUpdates": "always",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "transfer.fsckObjects": "true",
    "fetch.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "protocol.allow": "never",
    "protocol.file.allow": "always",
    "advice.detachedHead": "false",
}


class GitFailed(SkerryError):
    """git ended with another status than 0; the message is its last words."""

    code = "git"


def git(
    *arguments: str,
    repository: Path,
    own: bool = True,
    work_tree: Path | None = None,
    users_settings: bool = False,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | None = None,
    seconds: float = SECONDS,
    limit: int = OUTPUT_LIMIT,
) -> bytes:
    """What git prints, at most ``limit`` bytes; it is ended after ``seconds``.

    ``own``: the repository is one of Skerry's; the settings of the user and of the host do not count there unless
    ``users_settings`` says so. Nothing it does runs hooks or goes to the network.
    Raises GitFailed, and HostError without git.
    """
    settings = [word for key, value in _SAFE.items() for word in ("-c", f"{key}={value}")]
    place = ["--git-dir", str(repository)] if own else ["-C", str(repository)]
    if work_tree is not None:
        place += ["-C", str(work_tree), "--work-tree", str(work_tree), "-c", "core.bare=false"]
    command = [find_tool("git"), "--no-pager", "--no-optional-locks", *settings, *place, *arguments]
    with subprocess.Popen(
        command,
        cwd="/",
        env={**_environment(own and not users_settings), **(env or {})},
        stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        if own and not users_settings:
            with contextlib.suppress(ProcessLookupError, ValueError, OSError):
                resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        return _result(process, _verb(arguments), seconds, limit)


def text(*arguments: str, repository: Path, own: bool = True) -> str:
    """``git``, as a line of text."""
    return git(*arguments, repository=repository, own=own).decode("utf-8", "replace").strip()


def commit_of(repository: Path, name: str, *, own: bool = True) -> str | None:
    """The id of the commit that a name stands for; None when there is none."""
    asking = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    try:
        return text(*asking, repository=repository, own=own)
    except GitFailed:
        return None


def is_ancestor(repository: Path, older: str, newer: str, *, own: bool = True) -> bool:
    """Whether ``newer`` has all that ``older`` has."""
    try:
        git("merge-base", "--is-ancestor", older, newer, repository=repository, own=own)
    except GitFailed:
        return False
    return True


def count_commits(repository: Path, older: str, newer: str, *, own: bool = True) -> int:
    """How many commits ``newer`` has that ``older`` lacks."""
    return int(text("rev-list", "--count", f"{older}..{newer}", repository=repository, own=own))


def _result(process: subprocess.Popen[bytes], what: str, seconds: float, limit: int) -> bytes:
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(process)

    errors = bytearray()
    reader = threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True)
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    reader.start()
    timer.start()
    try:
        assert process.stdout is not None
        output = process.stdout.read(limit + 1)
        if len(output) > limit:
            _kill(process)
        status = process.wait()
    finally:
        timer.cancel()
        _kill(process)
    reader.join(5)
    if late.is_set():
        raise GitFailed(f"git {what} took longer than {seconds:.0f} seconds", operation="git")
    if len(output) > limit:
        raise GitFailed(f"git {what} said more than {limit} bytes", operation="git")
    if status != 0:
        words = errors.decode("utf-8", "replace").strip().splitlines()
        raise GitFailed(f"git {what}: {words[-1][:300] if words else f'status {status}'}", operation="git")
    return output


def _kill(process: subprocess.Popen[bytes]) -> None:
    """git, if it still runs, and what it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _verb(arguments: Sequence[str]) -> str:
    """The word behind the settings."""
    return next((word for word in arguments if not word.startswith("-") and "=" not in word), "")


def _drain(stream: IO[bytes] | None, kept: bytearray) -> None:
    while stream is not None and (piece := stream.read(1024)):
        kept += piece
        del kept[:-65536]


def _environment(own: bool) -> dict[str, str]:
    """Without any GIT_ variable of ours; the user's own settings only for the user's own repository."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "SSH_"))}
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "/bin/false", "LC_ALL": "C.UTF-8"}
    env |= {"GIT_ALLOW_PROTOCOL": "file", "GIT_NO_LAZY_FETCH": "1"}
    if own:
        env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1"}
    return env
