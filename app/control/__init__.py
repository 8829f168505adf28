"""Every button a person could press, as a typed async method: the one door for the window and the command line."""

from __future__ import annotations

from app.control.boards import read_board
from app.control.control import Control
from app.control.desk import shown_to_user
from app.control.letters import DEFAULT_TIMEOUT, Letter
from app.control.memories import Memory, open_memory
from app.control.outcomes import Outcome
from app.engine.process import engine_info, engine_was_killed, start_engine_process, stop_engine_process

__all__ = [
    "DEFAULT_TIMEOUT",
    "Control",
    "Letter",
    "Memory",
    "Outcome",
    "engine_info",
    "engine_was_killed",
    "open_memory",
    "read_board",
    "shown_to_user",
    "start_engine_process",
    "stop_engine_process",
]
