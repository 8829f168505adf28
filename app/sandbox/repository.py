"""The bare repository Skerry keeps of each agent: what it started from, and what it committed since. Everything blocks.

What comes from the machine is a bundle: a header and a pack. The header is read here; the pack goes into a quarantine,
where every object of it and what it leads to is checked. git's own fetch from a bundle checks neither before git 2.46.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from app.domain.errors import ConfigError, SandboxError
from app.sandbox.host_git import GitFailed, commit_of, count_commits, git, text

BASE = "refs/skerry/base"
MIRRORED = "refs/skerry/mirrored"
_EARLIER = "refs/skerry/earlier"
_SECONDS = 600.0
_HEADER_BYTES = 2**16
_LINE_BYTES = 1024
_SEED_FILES, _SEED_BYTES = 50_000, 2**30
_OID = re.compile(rb"[0-9a-f]{40}")
# The last word on attributes: nothing that a folder of an agent says about filters or line ends counts.
_ATTRIBUTES = "* -text -ident !eol !filter !diff !merge !working-tree-encoding\n"
_NOBODY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "skerry"), ("EMAIL", "skerry@localhost"), ("DATE", "@0 +0000"))
}


class BundleRefused(SandboxError):
    """What a machine sent as its branch is not taken; what was taken before stays."""

    code = "bundle_refused"
    retryable = False


class AgentRepository:
    """``folder`` is the bare repository's; the agent's branch is ``skerry/<agent>``."""

    def __init__(self, folder: Path, agent: str) -> None:
        self.folder, self.branch = folder, f"skerry/{agent}"
        self.ref = f"refs/heads/{self.branch}"

    @property
    def exists(self) -> bool:
        """Whether the agent ever began."""
        return (self.folder / "HEAD").exists()

    @property
    def base(self) -> str | None:
        """The commit the agent started from."""
        return commit_of(self.folder, BASE) if self.exists else None

    @property
    def tip(self) -> str | None:
        """The newest commit of its branch that was brought out; None when it started without a repository."""
        return commit_of(self.folder, self.ref) if self.exists else None

    @property
    def mirrored(self) -> bool:
        """Whether the folder on this host shows the agent's work, and not that of an earlier run."""
        base = self.base
        return base is not None and commit_of(self.folder, MIRRORED) == base

    def note_mirrored(self) -> None:
        """The workspace was brought out."""
        if (base := self.base) is not None and not self.mirrored:
            git("update-ref", MIRRORED, base, repository=self.folder)

    def begin_from_repository(self, source: Path, mirror: Path | None = None) -> None:
        """Start anew from the commit that is checked out in ``source``. Raises ConfigError when it cannot be.

        What ``mirror`` shows of an earlier run is put aside with its commits: the next mirror takes its place.
        """
        check_repository(source)
        if mirror is not None and mirror.is_dir() and self.mirrored:
            with suppress(GitFailed):
                self._keep_unfinished(mirror)
        self._begin()
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--force")
        # The user's own history is taken as it is, old blemishes and all.
        arguments = ("-c", "fetch.fsckObjects=false", "-c", "transfer.fsckObjects=false", "fetch", *quiet)
        try:
            git(*arguments, str(source), f"HEAD:{BASE}", repository=self.folder, users_settings=True, seconds=_SECONDS)
        except GitFailed as error:
            raise ConfigError(f"{source} cannot be cloned: {error.message}", operation="clone") from error
        git("update-ref", self.ref, BASE, repository=self.folder)

    def begin_from_folder(self, seed: Path) -> None:
        """Start anew from the files of a folder, to compare with later; not with one that is very large."""
        self._begin()
        if _is_large(seed):
            return
        with scratch_index(self.folder, quarantine=False) as env:
            git("add", "--all", "--force", ".", repository=self.folder, work_tree=seed, env=env, seconds=_SECONDS)
            tree = git("write-tree", repository=self.folder, env=env).decode().strip()
        commit = git("commit-tree", "-m", "seed", tree, repository=self.folder, env=_NOBODY).decode().strip()
        for ref in (BASE, MIRRORED):
            git("update-ref", ref, commit, repository=self.folder)

    def write_bundle(self, destination: Path) -> None:
        """What the agent starts from, with its whole history, in one file."""
        git("bundle", "create", "--quiet", str(destination), BASE, repository=self.folder, seconds=_SECONDS)
        destination.chmod(0o600)

    def has(self, commit: str) -> bool:
        """Whether a commit is here already."""
        return commit_of(self.folder, commit) is not None

    def take(self, bundle: Path) -> None:
        """Take the agent's branch from a bundle its machine made. Raises BundleRefused; then nothing has changed."""
        with bundle.open("rb", buffering=0) as file:
            tip, needed = _read_header(file, self.ref)
            if missing := [commit for commit in needed if not self.has(commit)]:
                raise BundleRefused(f"it builds on {missing[0][:12]}, which is not here", operation="take the branch")
            with self._quarantine() as env:
                self._unpack(file, bundle.stat().st_size, env)
                self._check_connected(tip, env)
                self._move_in(Path(env["GIT_OBJECT_DIRECTORY"]))
        self.move_to(tip)

    def move_to(self, tip: str) -> None:
        """The branch is at a commit that is here. Raises BundleRefused for what is no whole commit."""
        self._check_connected(tip, {})
        if tip != self.tip:
            git("update-ref", "-m", "brought out", self.ref, tip, repository=self.folder)

    def commits(self) -> int:
        """How many commits the agent made that were brought out."""
        base, tip = self.base, self.tip
        return 0 if base is None or tip is None else count_commits(self.folder, base, tip)

    def _keep_unfinished(self, mirror: Path) -> None:
        tip = self.tip or BASE
        with scratch_index(self.folder, quarantine=False) as env:
            git("read-tree", tip, repository=self.folder, env=env)
            git("add", "--all", ".", repository=self.folder, work_tree=mirror, env=env, seconds=_SECONDS)
            tree = git("write-tree", repository=self.folder, env=env).decode().strip()
        if tree != text("rev-parse", f"{tip}^{{tree}}", repository=self.folder):
            message = ("-m", f"what {self.branch} had not committed")
            kept = git("commit-tree", "-p", tip, *message, tree, repository=self.folder, env=_NOBODY).decode().strip()
            git("update-ref", f"{_EARLIER}/{kept}", kept, repository=self.folder)

    def _begin(self) -> None:
        """An empty repository, or this one with what an earlier run left put aside."""
        if not self.exists:
            self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            git("init", "--quiet", "--bare", "--template=", repository=self.folder)
            self.folder.chmod(0o700)
            (self.folder / "info").mkdir(exist_ok=True)
            (self.folder / "info" / "attributes").write_text(_ATTRIBUTES)
        if (tip := self.tip) is not None and tip != self.base:
            git("update-ref", f"{_EARLIER}/{tip}", tip, repository=self.folder)
        for ref in (self.ref, BASE, MIRRORED):
            if commit_of(self.folder, ref) is not None:
                git("update-ref", "-d", ref, repository=self.folder)

    @contextmanager
    def _quarantine(self) -> Iterator[dict[str, str]]:
        with tempfile.TemporaryDirectory(prefix="incoming-", dir=self.folder) as place:
            Path(place, "pack").mkdir()
            yield {
                "GIT_OBJECT_DIRECTORY": place,
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.folder / "objects"),
            }

    def _unpack(self, file: IO[bytes], size: int, env: dict[str, str]) -> None:
        arguments = ("index-pack", "--stdin", "--fix-thin", "--strict", f"--max-input-size={size}", "--threads=1")
        try:
            git(*arguments, repository=self.folder, env=env, stdin=file, seconds=_SECONDS)
        except GitFailed as error:
            raise BundleRefused(error.message, operation="take the branch") from error

    def _check_connected(self, tip: str, env: dict[str, str]) -> None:
        try:
            kind = git("cat-file", "-t", tip, repository=self.folder, env=env).strip()
            if kind != b"commit":
                raise BundleRefused(f"its branch is no commit but a {kind.decode()[:10]}", operation="take the branch")
            walk = ("rev-list", "--objects", "--quiet", tip, "--not", "--all")
            git(*walk, repository=self.folder, env=env, seconds=_SECONDS)
        except GitFailed as error:
            raise BundleRefused(f"it is not whole: {error.message}", operation="take the branch") from error

    def _move_in(self, incoming: Path) -> None:
        packs = self.folder / "objects" / "pack"
        packs.mkdir(parents=True, exist_ok=True)
        files = sorted(
            (incoming / "pack").iterdir(), key=lambda file: file.suffix == ".idx"
        )  # the index makes it count
        for file in files:
            if file.suffix in (".pack", ".rev", ".idx"):
                shutil.move(file, packs / file.name)


def check_repository(folder: Path) -> None:
    """A repository that agents can start from. Raises ConfigError with what is wrong."""
    operation = "look at the repository"
    try:
        shallow = text("rev-parse", "--is-shallow-repository", repository=folder, own=False)
    except GitFailed as error:
        hint = f"see: git -C {folder} status"
        raise ConfigError(
            f"{folder} cannot be used as a git repository: {error.message}", operation=operation, hint=hint
        ) from error
    if commit_of(folder, "HEAD", own=False) is None:
        hint = f"commit something first: git -C {folder} commit"
        raise ConfigError(f"the repository {folder} has no commits yet", operation=operation, hint=hint)
    if shallow == "true":
        hint = f"fetch the rest: git -C {folder} fetch --unshallow"
        raise ConfigError(f"the repository {folder} is a shallow clone", operation=operation, hint=hint)


@contextmanager
def scratch_index(repository: Path, *, quarantine: bool = True) -> Iterator[dict[str, str]]:
    """An index of its own for git, and with ``quarantine`` a place of its own for new objects; both vanish."""
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=repository) as place:
        env = {"GIT_INDEX_FILE": os.path.join(place, "index")}  # noqa: PTH118
        if quarantine:
            env["GIT_OBJECT_DIRECTORY"] = place
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(repository / "objects")
        yield env


def _read_header(file: IO[bytes], ref: str) -> tuple[str, list[str]]:
    """(the branch's commit, the commits it builds on); leaves the file where the pack begins."""
    data = file.read(_HEADER_BYTES)
    header, separator, _ = data.partition(b"\n\n")
    lines = header.split(b"\n")
    if not separator or any(len(line) > _LINE_BYTES for line in lines):
        raise BundleRefused("it is no git bundle, or its header is too long", operation="take the branch")
    first, capabilities = lines.pop(0), []
    while lines and lines[0].startswith(b"@"):
        capabilities.append(lines.pop(0))
    if first not in (b"# v2 git bundle", b"# v3 git bundle") or set(capabilities) - {b"@object-format=sha1"}:
        raise BundleRefused("it is no git bundle that we know", operation="take the branch")
    needed = [line[1:41] for line in lines if line.startswith(b"-")]
    refs = [line for line in lines if not line.startswith(b"-")]
    if len(refs) != 1 or refs[0][40:] != b" " + ref.encode():
        raise BundleRefused(f"it does not hold {ref} and nothing else", operation="take the branch")
    oids = [refs[0][:40], *needed]
    if not all(_OID.fullmatch(oid) for oid in oids):
        raise BundleRefused("its header names no commits", operation="take the branch")
    file.seek(len(header) + len(separator))
    return oids[0].decode(), [oid.decode() for oid in needed]


def _is_large(folder: Path) -> bool:
    size = 0
    for number, path in enumerate(folder.rglob("*")):
        size += path.lstat().st_size
        if number >= _SEED_FILES or size > _SEED_BYTES:
            return True
    return False
