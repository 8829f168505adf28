"""Whether the engine is up, as its own ready file says, and where Temporal's web page is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

WATCH_MS = 1000


@dataclass(frozen=True, slots=True)
class EngineState:
    """``pid`` is 0 when no engine runs; ``web_ui`` is empty when its address is not known."""

    pid: int = 0
    web_ui: str = ""

    @property
    def running(self) -> bool:
        """Whether an engine can be used."""
        return self.pid > 0


def read_engine_state(ready_file: Path) -> EngineState:
    """What ``ready_file`` says, if the process it names is alive: a killed engine leaves the file behind."""
    try:
        ready = json.loads(ready_file.read_text(encoding="utf-8"))
        pid = int(ready["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return EngineState()
    web_ui = ready.get("web_ui")
    return EngineState(pid, web_ui if isinstance(web_ui, str) else "") if _alive(pid) else EngineState()


class EngineWatch(QObject):
    """Looks once a second; ``changed`` carries the new EngineState."""

    changed = Signal(object)

    def __init__(self, read: Callable[[], EngineState], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._read = read
        self.state = EngineState()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)

    def start(self) -> None:
        """Begin to watch."""
        self._timer.start(WATCH_MS)
        self.look()

    def stop(self) -> None:
        """Watch no longer."""
        self._timer.stop()

    def look(self) -> None:
        """Look now."""
        state = self._read()
        if state != self.state:
            self.state = state
            self.changed.emit(state)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
