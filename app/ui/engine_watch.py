"""Whether the engine is up, and where Temporal's web page is: looked up now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


class EngineWatch(QObject):
    """Looks once a second; ``changed`` carries the new EngineState, ``looked`` each that was seen."""

    changed = Signal(object)
    looked = Signal(object)

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
        self.looked.emit(state)
