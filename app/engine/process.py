"""The engine as a process of its own: whether one runs, starting one, ending it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.config import Paths
from app.domain.errors import EngineError
from app.domain.ports import Progress
from app.engine.instance import EngineInfo, lock_holder, read_ready

ENGINE_START_SECONDS = 90.0
ENGINE_STOP_SECONDS = 60.0


def engine_info(paths: Paths) -> EngineInfo | None:
    """The engine of this user that can be used now, or None."""
    return read_ready(paths.engine_ready, paths.engine_lock)


def engine_was_killed(paths: Paths) -> bool:
    """Whether the last engine went without saying so: one that ends in order takes its ready file away."""
    return paths.engine_ready.exists() and lock_holder(paths.engine_lock) is None


async def start_engine_process(paths: Paths, progress: Progress) -> EngineInfo:
    """Start an engine in the background, on its own feet, and wait until it can be used. Raises EngineError."""
    paths.prepare()
    progress("Starting the engine")
    process = _launch_engine(paths)
    until = time.monotonic() + ENGINE_START_SECONDS
    while time.monotonic() < until:
        info = engine_info(paths)
        if info is not None:
            return info
        if process.poll() is not None and lock_holder(paths.engine_lock) is None:
            words, remedy = _last_words(paths.engine_log)
            raise EngineError(
                f"the engine did not start: {words}",
                operation="start the engine",
                hint=remedy or f"see {paths.engine_log}",
            )
        await asyncio.sleep(0.05)
    raise EngineError(
        f"the engine was not ready after {ENGINE_START_SECONDS:.0f} s",
        operation="start the engine",
        hint=f"see {paths.engine_log}",
    )


def _launch_engine(paths: Paths) -> subprocess.Popen[bytes]:
    with paths.engine_log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "app", "engine"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(_code_root())},
        )


async def stop_engine_process(paths: Paths) -> bool:
    """End the engine with TERM and wait until it is gone; False when none ran. Raises EngineError when it stays."""
    pid = lock_holder(paths.engine_lock)
    if pid is None:
        return False
    if pid:
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + ENGINE_STOP_SECONDS
    while time.monotonic() < until:
        if lock_holder(paths.engine_lock) is None:
            return True
        await asyncio.sleep(0.05)
    raise EngineError(
        f"the engine (process {pid}) does not end", operation="stop", hint=f"see {paths.engine_log}; then kill {pid}"
    )


def _code_root() -> Path:
    return Path(__file__).resolve().parents[2]


def _last_words(log_file: Path) -> tuple[str, str]:
    """What the engine said last, and the remedy when it named one (the command line prints them as two lines)."""
    lines = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
    remedy = ""
    if lines[-1].startswith("remedy: ") and len(lines) > 1:
        remedy = lines.pop().removeprefix("remedy: ")
    return lines[-1].removeprefix("error: ")[-300:], remedy
