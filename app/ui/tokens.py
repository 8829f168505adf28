"""Colours by purpose, once for light and once for dark. Text on its ground has a contrast of at least 4.5 to 1."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.envelope import MessageState
from app.domain.events import AgentStatus


@dataclass(frozen=True, slots=True)
class Tone:
    """A hue as text and dot (``ink``), and as the quiet ground behind it."""

    ink: str
    ground: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Named colours. ``window`` is the frame, ``surface`` the page, ``raised`` buttons, ``sunken`` code."""

    window: str
    surface: str
    raised: str
    sunken: str
    hover: str
    selection: str
    border: str
    strong_border: str
    text: str
    muted: str
    faint: str
    accent: str
    accent_hover: str
    on_accent: str
    danger: str
    neutral: Tone
    blue: Tone
    green: Tone
    amber: Tone
    red: Tone
    violet: Tone
    ansi: tuple[str, ...]
    """The sixteen terminal colours, readable on ``sunken``."""

    def agent(self, state: AgentStatus) -> Tone:
        """The hue of an agent's state."""
        return _tone(self, _AGENT_TONES[state])

    def message(self, state: MessageState) -> Tone:
        """The hue of a message's state."""
        return _tone(self, _MESSAGE_TONES[state])


_AGENT_TONES = {
    AgentStatus.STARTING: "violet",
    AgentStatus.IDLE: "neutral",
    AgentStatus.RUNNING: "blue",
    AgentStatus.WAITING: "amber",
    AgentStatus.PAUSED: "amber",
    AgentStatus.COMPLETED: "green",
    AgentStatus.FAILED: "red",
    AgentStatus.STOPPED: "neutral",
}

_MESSAGE_TONES = {
    MessageState.ACCEPTED: "violet",
    MessageState.HELD: "amber",
    MessageState.DELIVERED: "blue",
    MessageState.READ: "green",
    MessageState.ANSWERED: "green",
    MessageState.REFUSED: "red",
    MessageState.EXPIRED: "neutral",
}


def _tone(tokens: Tokens, name: str) -> Tone:
    tone = getattr(tokens, name)
    assert isinstance(tone, Tone)
    return tone


LIGHT = Tokens(
    window="#f3f5f7",
    surface="#ffffff",
    raised="#ffffff",
    sunken="#f6f8fa",
    hover="#eef1f4",
    selection="#e2eef6",
    border="#e1e6eb",
    strong_border="#c6cfd8",
    text="#18222c",
    muted="#55626f",
    faint="#626e7a",
    accent="#0f6a96",
    accent_hover="#0c5a80",
    on_accent="#ffffff",
    danger="#b3261e",
    neutral=Tone("#55626f", "#eceff2"),
    blue=Tone("#0f6a96", "#e0f0f8"),
    green=Tone("#1b7340", "#e2f4e8"),
    amber=Tone("#8a5300", "#fdf0d5"),
    red=Tone("#b3261e", "#fde8e6"),
    violet=Tone("#6246b0", "#eee9fa"),
    ansi=(
        "#18222c", "#b3261e", "#1b7340", "#8a5300", "#1f5fbf", "#8b3a94", "#0f6f7d", "#55626f",
        "#626e7a", "#c8352c", "#1f7d45", "#8f5c00", "#2a69c6", "#9a42a4", "#117684", "#18222c",
    ),
)  # fmt: skip

DARK = Tokens(
    window="#12171c",
    surface="#181e24",
    raised="#232b33",
    sunken="#12171c",
    hover="#202830",
    selection="#1d3646",
    border="#29323b",
    strong_border="#41505d",
    text="#e4eaf0",
    muted="#a3b0bc",
    faint="#8593a0",
    accent="#5cb8e0",
    accent_hover="#7cc8ea",
    on_accent="#06202e",
    danger="#ff8a80",
    neutral=Tone("#a9b5c0", "#262f37"),
    blue=Tone("#6cc4ea", "#143345"),
    green=Tone("#6fd195", "#15352a"),
    amber=Tone("#f0b95a", "#3a2c12"),
    red=Tone("#ff8a80", "#43201f"),
    violet=Tone("#b9a2f2", "#2c2547"),
    ansi=(
        "#8593a0", "#ff8a80", "#6fd195", "#f0b95a", "#7fb2f5", "#d79be0", "#62cfd8", "#c9d3dc",
        "#a3b0bc", "#ffa8a0", "#8fe0ad", "#f7cd80", "#a2c8fa", "#e5b8ec", "#88dfe6", "#ffffff",
    ),
)  # fmt: skip
