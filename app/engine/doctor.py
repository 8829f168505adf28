"""Looks at everything Skerry needs on this machine, all at once, and waits for nothing long. Shows nothing itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from app import __version__
from app.config import FILE_NAMES, Paths, Project, load_project
from app.config.paths import MAX_RUNTIME_BYTES
from app.domain.errors import SkerryError
from app.domain.finding import Finding
from app.engine.credentials import missing_credentials
from app.engine.instance import lock_holder, read_ready
from app.engine.temporal_server import temporal_binary
from app.runtimes.local_models import find_local_models
from app.sandbox import host_checks as host
from app.sandbox.image import ImageBuilder
from app.sandbox.packs import PackBuilder
from app.sandbox.walls import walls

SECONDS = 1.8
"""How long all of it may take."""
_BUILT = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
Check = Callable[[], Finding]


def examine(paths: Paths, place: Path, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """All findings, in a fixed order. A check that does not end in time is a finding too, and goes on alone."""
    checks = _checks(paths, place, environment)
    found: dict[tuple[str, str], Finding] = {}
    threads = [threading.Thread(target=_look, args=(key, check, found), daemon=True) for key, check in checks.items()]
    for thread in threads:
        thread.start()
    until = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return [found.get(key) or Finding(*key, "warning", f"no answer within {SECONDS:g} s") for key in checks]


def _look(key: tuple[str, str], check: Check, found: dict[tuple[str, str], Finding]) -> None:
    try:
        found[key] = check()
    except SkerryError as error:
        found[key] = Finding(*key, "warning", error.message, error.hint)
    except Exception as error:  # one check that breaks must not hide what the others found
        found[key] = Finding(*key, "warning", f"could not be looked at: {type(error).__name__}: {error}")


def _checks(paths: Paths, place: Path, env: Mapping[str, str]) -> dict[tuple[str, str], Check]:
    return {
        ("machines", "KVM"): host.check_kvm,
        ("machines", "QEMU"): host.check_qemu,
        ("machines", "libvirt"): host.check_libvirt,
        ("machines", "programs"): host.check_tools,
        ("machines", "user namespaces"): host.check_user_namespaces,
        ("machines", "walls"): lambda: _walls(paths),
        ("machines", "images"): lambda: _images(paths),
        ("space", "disk for state"): lambda: host.check_space("state", paths.state),
        ("space", "disk for images"): lambda: host.check_space("images", paths.images),
        ("space", "memory"): lambda: _memory(place),
        ("host", "open files"): host.check_limits,
        ("host", "inotify"): host.check_inotify,
        ("host", "git"): _git,
        ("host", "clock"): _clock,
        ("host", "runtime folder"): lambda: _runtime_folder(paths),
        ("engine", "Temporal"): _temporal,
        ("engine", "engine"): lambda: _engine(paths),
        ("engine", "journal"): lambda: _journal(paths),
        ("engine", "keyring"): lambda: _keyring(env),
        ("engine", "keys"): lambda: _keys(paths, place),
        ("engine", "local models"): _local_models,
        ("window", "display"): lambda: _display(env),
        ("window", "libraries"): host.check_display_libraries,
        ("window", "tray"): lambda: _tray(env),
    }


def _images(paths: Paths) -> Finding:
    missing = [] if ImageBuilder(paths.images, paths.recipes).find("base") else ["base"]
    missing += [] if PackBuilder(paths.images, paths.packs).find("codex") else ["codex"]
    if missing:
        remedy = "skerry image build " + " ".join(missing)
        return Finding("machines", "images", "warning", f"not built yet: {', '.join(missing)}", remedy)
    return Finding("machines", "images", "ok", "base and codex are built from today's recipes")


def _walls(paths: Paths) -> Finding:
    missing = [wall for wall in walls(paths.images) if not wall.on]
    if not missing:
        return Finding("machines", "walls", "ok", "all walls around QEMU can be put up")
    reason = "; ".join(f"{wall.name}: {wall.why}" for wall in missing)
    remedy = next((wall.remedy for wall in missing if wall.remedy), "")
    return Finding("machines", "walls", "warning", f"QEMU runs without some of its walls: {reason}", remedy)


def _keyring(env: Mapping[str, str]) -> Finding:
    if not env.get("DBUS_SESSION_BUS_ADDRESS"):
        return Finding("engine", "keyring", "warning", "there is no session bus: keys from env: and file: only")
    question = ["busctl", "--user", "--timeout=1", "status", "org.freedesktop.secrets"]
    done = subprocess.run(question, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        remedy = host.sudo("apt-get install gnome-keyring") + "  # or KWallet"
        return Finding("engine", "keyring", "warning", "no Secret Service answers: keyring: cannot be used", remedy)
    return Finding("engine", "keyring", "ok", "a Secret Service answers")


def _memory(place: Path) -> Finding:
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    project = _project(place)
    asked = sum(agent.sandbox.memory for agent in project.fleet.agents) if project else 0
    words = f"{free / 2**30:.1f} GiB free"
    if asked:
        words += f", the team asks for {asked / 2**30:.1f} GiB at most"
    if asked > free:
        return Finding("space", "memory", "warning", words, "set a smaller sandbox.memory in agents.yaml")
    return Finding("space", "memory", "ok", words)


def _git() -> Finding:
    if shutil.which("git") is None:
        return Finding("host", "git", "failed", "git is not installed", host.sudo("apt-get install git"))
    return Finding("host", "git", "ok", "git is installed")


def _clock() -> Finding:
    if time.time() < _BUILT:
        remedy = host.sudo("timedatectl set-ntp true")
        return Finding("host", "clock", "failed", f"the clock says {datetime.now(UTC):%Y-%m-%d}", remedy)
    return Finding("host", "clock", "ok", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


def _runtime_folder(paths: Paths) -> Finding:
    length = len(os.fsencode(paths.runtime))
    if length > MAX_RUNTIME_BYTES:
        reason = f"{paths.runtime} is too long a path for sockets"
        return Finding("host", "runtime folder", "failed", reason, "export SKERRY_HOME=~/s")
    return Finding("host", "runtime folder", "ok", f"{paths.runtime}")


def _temporal() -> Finding:
    remedy = "./skerry setup"
    try:
        command = [str(temporal_binary()), "--version"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except SkerryError as error:
        return Finding("engine", "Temporal", "failed", error.message, remedy)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("engine", "Temporal", "failed", f"the server does not run: {error}", remedy)
    return Finding("engine", "Temporal", "ok", done.stdout.strip())


def _engine(paths: Paths) -> Finding:
    info = read_ready(paths.engine_ready, paths.engine_lock)
    if info is None:
        starting = lock_holder(paths.engine_lock) is not None
        return Finding("engine", "engine", "ok", "it is just starting or ending" if starting else "not running")
    if info.version != __version__:
        reason = f"version {info.version} is running, this is {__version__}"
        return Finding("engine", "engine", "warning", reason, "skerry stop")
    return Finding("engine", "engine", "ok", f"running, process {info.pid}")


def _journal(paths: Paths) -> Finding:
    place = next(p for p in [paths.journal_db, *paths.journal_db.parents] if p.exists())
    if not os.access(place, os.W_OK) or (place != paths.journal_db and not place.is_dir()):
        remedy = host.sudo(f"chown -R {os.getuid()} {paths.state}")
        return Finding("engine", "journal", "failed", f"{place} cannot be written", remedy)
    if place == paths.journal_db:
        try:
            with sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=1) as database:
                database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            remedy = f"mv {place} {place}.damaged"
            return Finding("engine", "journal", "failed", f"{place} cannot be read: {error}", remedy)
        finally:
            database.close()
    return Finding("engine", "journal", "ok", "can be written")


def _keys(paths: Paths, place: Path) -> Finding:
    project = _project(place)
    if project is None:
        return Finding("engine", "keys", "ok", "no team in this folder asks for one")
    running = read_ready(paths.engine_ready, paths.engine_lock) is not None
    missing = missing_credentials(project, engine_runs=running)
    if missing:
        reason = "; ".join(dict.fromkeys(f"{item.provider}: {item.problem}" for item in missing))
        return Finding("engine", "keys", "warning", reason, missing[0].remedy)
    return Finding("engine", "keys", "ok", "every key the team needs can be had")


def _local_models() -> Finding:
    found = [f"{server.kind} at {server.base_url} ({len(server.models)} models)" for server in find_local_models()]
    words = "; ".join(found) or "none on the usual ports of Ollama and llama.cpp"
    return Finding("engine", "local models", "ok", words)


def _display(env: Mapping[str, str]) -> Finding:
    for name in ("WAYLAND_DISPLAY", "DISPLAY", "QT_QPA_PLATFORM"):
        if env.get(name):
            return Finding("window", "display", "ok", f"{name} is {env[name]}")
    return Finding("window", "display", "warning", "none: the team runs in the terminal", "skerry run --headless")


def _tray(env: Mapping[str, str]) -> Finding:
    if not env.get("DBUS_SESSION_BUS_ADDRESS"):
        return Finding("window", "tray", "warning", "there is no session bus: no icon in the tray")
    question = ["busctl", "--user", "--timeout=1", "status", "org.kde.StatusNotifierWatcher"]
    done = subprocess.run(question, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        return Finding("window", "tray", "warning", "the desktop has no tray: no icon in it")
    return Finding("window", "tray", "ok", "the desktop has a tray")


def _project(place: Path) -> Project | None:
    return load_project(place) if any((place / name).is_file() for name in FILE_NAMES) else None
