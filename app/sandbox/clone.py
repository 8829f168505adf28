"""A git repository in a machine: the agent's clone, made from a bundle, and its branch brought out as one."""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

from app.domain.errors import SandboxError
from app.domain.ports import Sandbox
from app.sandbox.repository import AgentRepository, BundleRefused
from app.sandbox.threads import in_thread

_SEED = "/var/tmp/skerry-seed.bundle"  # noqa: S108
_BRANCH = "/var/tmp/skerry-branch.bundle"  # noqa: S108
_CLONE_SECONDS = 600.0
_BRANCH_SECONDS = 400.0
_QUICK = "-c pack.compression=1 -c pack.window=0 -c pack.threads=1"
"""Packing costs the machine more than the bytes it saves cost us."""
_BRANCH_BYTES = 2**30
_OID = re.compile(r"[0-9a-f]{40}")


async def clone_into(sandbox: Sandbox, repository: AgentRepository, agent: str) -> None:
    """Make the empty /workspace a clone of what ``repository`` starts from, on the agent's branch.

    Raises SandboxError.
    """
    with tempfile.TemporaryDirectory(prefix="seed-", dir=repository.folder) as place:
        bundle = Path(place, "seed.bundle")
        await in_thread(repository.write_bundle, bundle)
        await sandbox.send_file(bundle, _SEED)
    commands = [
        f"git config --global user.name {shlex.quote(agent)}",
        f"git config --global user.email {shlex.quote(f'{agent}@skerry')}",
        f"git init --quiet --initial-branch={shlex.quote(repository.branch)} .",
        f"git -c pack.threads=1 fetch --quiet {_SEED} refs/skerry/base",
        "git reset --quiet --hard FETCH_HEAD",
        f"rm -f .git/FETCH_HEAD {_SEED}",
        "mkdir -p .git/info && echo /.inbox/ >> .git/info/exclude",
    ]
    result = await sandbox.run(" && ".join(commands), timeout=_CLONE_SECONDS)
    if result.exit_status != 0:
        words = "it took too long" if result.timed_out else result.output.decode("utf-8", "replace").strip()[-500:]
        raise SandboxError(f"the repository could not be cloned in the machine: {words}", operation="clone")


async def bring_branch_out(sandbox: Sandbox, repository: AgentRepository, *, limit: int = _BRANCH_BYTES) -> bool:
    """Take the agent's branch as it is now; false when nothing has changed.

    Raises BundleRefused when what the machine shows as its branch cannot be taken, SandboxError when the machine fails.
    """
    tip = await _tip(sandbox, repository)
    known = await in_thread(lambda: repository.tip)
    if tip == known:
        return False
    if await in_thread(repository.has, tip):
        await in_thread(repository.move_to, tip)
        return True
    have = [commit for commit in {await in_thread(lambda: repository.base), known} if commit]
    await _make_bundle(sandbox, repository, have)
    with tempfile.TemporaryDirectory(prefix="branch-", dir=repository.folder) as place:
        bundle = Path(place, "branch.bundle")
        try:
            await sandbox.receive_file(_BRANCH, bundle, limit=limit)
        except SandboxError as error:
            raise _unless_lost(error) from error
        await in_thread(repository.take, bundle)
    return True


async def _tip(sandbox: Sandbox, repository: AgentRepository) -> str:
    asking = f"git rev-parse --verify --quiet {shlex.quote(repository.ref)}"
    result = await sandbox.run(asking, timeout=_BRANCH_SECONDS, output_limit=1024)
    tip = result.output.decode("ascii", "replace").strip()
    if result.exit_status != 0 or not _OID.fullmatch(tip):
        raise BundleRefused(f"the machine has no branch {repository.branch}", operation="take the branch")
    return tip


async def _make_bundle(sandbox: Sandbox, repository: AgentRepository, have: list[str]) -> None:
    ref = shlex.quote(repository.ref)
    command = (
        f"known=; for commit in {' '.join(have)}; do git cat-file -e $commit^{{commit}} 2>/dev/null "
        f'&& known="$known ^$commit"; done; rm -f {_BRANCH}; git {_QUICK} bundle create --quiet {_BRANCH} {ref} $known'
    )
    result = await sandbox.run(command, timeout=_BRANCH_SECONDS, output_limit=4096)
    if result.exit_status != 0:
        words = result.output.decode("utf-8", "replace").strip()[-300:]
        raise BundleRefused(f"git in the machine failed: {words or result.exit_status}", operation="take the branch")


def _unless_lost(error: SandboxError) -> SandboxError:
    """A machine that is gone is another matter than a file that is not there or too large."""
    return BundleRefused(error.message, operation="take the branch") if type(error) is SandboxError else error
