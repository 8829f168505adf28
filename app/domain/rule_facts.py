"""Facts about rules: what they decided, and that they were read again."""

from __future__ import annotations

from typing import Literal

from app.domain.fact import Fact


class PermissionDecided(Fact):
    """The agent's program asked before it acted, and was answered.

    ``rule`` gave the verdict and stands in ``place``; ``interrupt`` the question that was put to the user for it,
    ``by`` who answered that.
    """

    kind: Literal["permission_decided"] = "permission_decided"
    turn: int
    call_id: str
    command: str
    """The command, or what else was asked for."""
    verdict: Literal["allow", "deny"]
    rule: str
    place: str = ""
    why: str = ""
    interrupt: str = ""
    by: str = ""


class RulesReread(Fact):
    """A file of rules was changed and read again; with a ``problem`` the last good ones stay in force."""

    kind: Literal["rules_reread"] = "rules_reread"
    file: str
    problem: str = ""
