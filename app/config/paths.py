"""Where Skerry keeps its files, each path named once. XDG variables move them; SKERRY_HOME moves all but the images."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import HostError

PRIVATE = 0o700
MAX_RUNTIME_BYTES = 48
"""A unix socket's path has at most 107 bytes; what is below the runtime folder needs up to 58 of them."""


@dataclass(frozen=True, slots=True)
class Paths:
    """All folders and files of one user's Skerry. Nothing is created before ``prepare``."""

    state: Path
    """Journal, Temporal database, machines' disks, logs."""
    data: Path
    config: Path
    runtime: Path
    """Sockets, locks. Short, private, gone after a reboot."""
    images: Path
    """Images, tool packs and templates; large, can be built again."""
    share: Path = Path(__file__).resolve().parents[2]
    """What comes with Skerry beside its code."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Paths:
        """Paths after ``environment`` (default: this process's): SKERRY_HOME, SKERRY_IMAGES, XDG_*."""
        env = os.environ if environment is None else environment
        own = env.get("SKERRY_HOME", "")
        if own:
            home = Path(own).expanduser().absolute()
            state, data, config, runtime = home / "state", home / "data", home / "config", home / "run"
        else:
            state = _xdg(env, "XDG_STATE_HOME", ".local/state") / "skerry"
            data = _xdg(env, "XDG_DATA_HOME", ".local/share") / "skerry"
            config = _xdg(env, "XDG_CONFIG_HOME", ".config") / "skerry"
            runtime = _runtime(env)
        images = Path(env["SKERRY_IMAGES"]).expanduser().absolute() if env.get("SKERRY_IMAGES") else data / "images"
        return cls(state=state, data=data, config=config, runtime=_short(runtime, env), images=images)

    def prepare(self) -> None:
        """Create the folders, private to this user. Raises HostError when one cannot be, or belongs to another."""
        make_private(self.runtime, links=False)
        for folder in (self.state, self.data, self.config, self.logs, self.machines, self.transcripts):
            make_private(folder)
        for folder in (self.doors, self.machine_sockets):
            make_private(folder)
        if not self.images.is_dir():  # may be shared with others, then its rights are theirs to choose
            make_private(self.images)

    # -- what comes with Skerry --------------------------------------------------------------------------------
    @property
    def recipes(self) -> Path:
        """Folder with one folder per image: what it is built from."""
        return self.share / "vm_images"

    @property
    def packs(self) -> Path:
        """Folder with one folder per tool pack."""
        return self.recipes / "packs"

    @property
    def rehearsals(self) -> Path:
        """Folder of scenario files."""
        return self.share / "resources" / "rehearsals"

    @property
    def icons(self) -> Path:
        """Folder of the window's drawings."""
        return self.share / "resources" / "icons"

    # -- state -------------------------------------------------------------------------------------------------
    @property
    def journal_db(self) -> Path:
        """The record of facts."""
        return self.state / "journal.db"

    @property
    def search_db(self) -> Path:
        """The search index: a cache that may be deleted at any time."""
        return self.state / "search.db"

    def temporal_db(self, server_version: str) -> Path:
        """Temporal's database; one file per server version, as there is no migration between them."""
        return self.state / f"temporal-{_file_name(server_version)}.db"

    @property
    def transcripts(self) -> Path:
        """Folder of what agents said and did, in full."""
        return self.state / "transcripts"

    @property
    def attachments(self) -> Path:
        """Folder of the files that travel with messages, named by the hash of their content."""
        return self.state / "attachments"

    @property
    def machines(self) -> Path:
        """Folder with one folder per virtual machine: its disk and serial log."""
        return self.state / "machines"

    def machine(self, name: str) -> Path:
        """Folder of one virtual machine."""
        return self.machines / _file_name(name)

    def fleet(self, fleet_id: str) -> Path:
        """Folder for what belongs to a whole fleet."""
        return self.state / "fleets" / _file_name(fleet_id)

    def repository(self, fleet_id: str, agent: str) -> Path:
        """Bare git repository of one agent: what it started from, and what it committed since."""
        return self.fleet(fleet_id) / "repositories" / f"{_file_name(agent)}.git"

    def memory_lock(self, fleet_id: str, agent: str) -> Path:
        """Held with flock by whoever of ours reads or writes the agent's memory file."""
        return self.fleet(fleet_id) / "memory" / f"{_file_name(agent)}.lock"

    @property
    def logs(self) -> Path:
        """Folder of log files."""
        return self.state / "logs"

    @property
    def engine_log(self) -> Path:
        """The engine's log."""
        return self.logs / "engine.log"

    @property
    def temporal_log(self) -> Path:
        """The Temporal server's output."""
        return self.logs / "temporal.log"

    # -- config ------------------------------------------------------------------------------------------------
    @property
    def settings_toml(self) -> Path:
        """The user's settings."""
        return self.config / "settings.toml"

    @property
    def licences_json(self) -> Path:
        """Licences of tool packs the user accepted."""
        return self.config / "licences.json"

    # -- runtime -----------------------------------------------------------------------------------------------
    @property
    def engine_lock(self) -> Path:
        """Held with flock by the engine as long as it lives; holds its process id."""
        return self.runtime / "engine.lock"

    @property
    def engine_ready(self) -> Path:
        """JSON file, there while the engine can be used: process id, Temporal's address, …"""
        return self.runtime / "engine.json"

    @property
    def doors(self) -> Path:
        """Folder of the gateway's sockets, one per agent."""
        return self.runtime / "d"

    def door(self, agent_key: str) -> Path:
        """The gateway's socket for one agent (a short name made from ``agent_key``)."""
        return self.doors / f"{_digest(agent_key, 16)}.s"

    @property
    def machine_sockets(self) -> Path:
        """Folder of the machines' channels; the sandbox names what is in it."""
        return self.runtime / "m"

    @property
    def terminals(self) -> Path:
        """The engine's socket for terminals in machines."""
        return self.runtime / "terminals"

    @property
    def libvirt_root(self) -> Path:
        """Root of libvirt's embedded driver: at most one process uses it."""
        return self.runtime / "v"


def make_private(folder: Path, *, links: bool = True) -> Path:
    """Make ``folder`` (and what is above it) with mode 0700; returns it.

    Raises HostError if it is not ours alone afterwards, or is a symbolic link and ``links`` is false.
    """
    try:
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = folder.stat() if links else folder.lstat()
        if found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode):
            if stat.S_IMODE(found.st_mode) & 0o077:
                folder.chmod(PRIVATE)
            return folder
    except OSError as error:
        raise _unusable(f"cannot make the folder {folder}: {error.strerror}") from error
    raise _unusable(f"{folder} is not a folder of yours")


def _unusable(message: str) -> HostError:
    hint = "remove it or make it yours, or choose another place with SKERRY_HOME"
    return HostError(message, operation="prepare folders", hint=hint)


def _xdg(env: Mapping[str, str], variable: str, default: str) -> Path:
    value = env.get(variable, "")
    # The XDG specification: a relative path is invalid and to be ignored.
    return Path(value) if value.startswith("/") else Path(env.get("HOME") or Path.home()) / default


def _runtime(env: Mapping[str, str]) -> Path:
    value = env.get("XDG_RUNTIME_DIR", "")
    if value.startswith("/") and Path(value).is_dir() and os.access(value, os.W_OK):
        return Path(value) / "skerry"
    return _temporary(env) / f"skerry-{os.getuid()}"


def _short(runtime: Path, env: Mapping[str, str]) -> Path:
    if len(os.fsencode(runtime)) <= MAX_RUNTIME_BYTES:
        return runtime
    return _temporary(env) / f"skerry-{os.getuid()}-{_digest(str(runtime), 8)}"


def _temporary(env: Mapping[str, str]) -> Path:
    folder = env.get("TMPDIR") or tempfile.gettempdir()
    return Path(folder if len(os.fsencode(folder)) < MAX_RUNTIME_BYTES - 26 else "/tmp")  # noqa: S108


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", text).strip(".") or "-"
