"""Gives the orders: to one agent, or to all of the team that can take it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Literal

from app.domain.errors import SkerryError
from app.ui.commands import Commands
from app.ui.controls.verbs import Verb
from app.ui.fleet_actions import FleetActions

Give = Callable[[Commands, str, str], Coroutine[Any, Any, object]]
_GIVES: dict[Verb, Give] = {
    Verb.PAUSE: lambda commands, fleet, agent: commands.pause_agent(fleet, agent),
    Verb.PAUSE_AFTER: lambda commands, fleet, agent: commands.pause_agent(fleet, agent, after_command=True),
    Verb.PAUSE_TO_DISK: lambda commands, fleet, agent: commands.pause_agent(fleet, agent, to_disk=True),
    Verb.RESUME: lambda commands, fleet, agent: commands.resume_agent(fleet, agent),
    Verb.CANCEL_TURN: lambda commands, fleet, agent: commands.cancel_turn(fleet, agent),
    Verb.CANCEL_TASK: lambda commands, fleet, agent: commands.cancel_task(fleet, agent),
    Verb.STOP: lambda commands, fleet, agent: commands.stop_agent(fleet, agent),
    Verb.START: lambda commands, fleet, agent: commands.start_agent(fleet, agent),
    Verb.RESET: lambda commands, fleet, agent: commands.reset_agent(fleet, agent),
    Verb.REMOVE: lambda commands, fleet, agent: commands.remove_machine(fleet, agent),
}
_DOING = {
    Verb.PAUSE: "Pausing {}…",
    Verb.PAUSE_AFTER: "Pausing {} after the command that runs…",
    Verb.PAUSE_TO_DISK: "Pausing {} after the turn…",
    Verb.RESUME: "Resuming {}…",
    Verb.CANCEL_TURN: "Ending the turn of {}…",
    Verb.CANCEL_TASK: "Telling {} to drop its task…",
    Verb.STOP: "Stopping {}…",
    Verb.START: "Starting {}…",
    Verb.RESET: "Making a clean machine for {}…",
    Verb.REMOVE: "Removing the machine of {}…",
}


class AgentOrders:
    """What went wrong is told by ``FleetActions.failed``, once for all agents of an order."""

    def __init__(self, actions: FleetActions) -> None:
        self._actions = actions

    def give(self, verb: Verb, agents: Sequence[str]) -> None:
        """Give an order that needs no words to each of these; one that refuses keeps nobody else from it."""
        give = _GIVES[verb]
        self._each(agents, lambda commands, agent: give(commands, self._actions.fleet, agent), _DOING[verb])

    def instruct(self, agents: Sequence[str], text: str, mode: Literal["amend", "replace"]) -> None:
        """New instructions."""
        fleet = self._actions.fleet
        self._each(agents, lambda commands, agent: commands.instruct(fleet, agent, text, mode), "Instructing {}…")

    def approve(self, agent: str, lasting: timedelta) -> None:
        """Approve everything for a while, of an agent or (without a name) of the team."""
        fleet = self._actions.fleet
        self._actions.give(
            lambda commands: commands.approve_all(fleet, lasting, agent), lambda _until: None, self._actions.failed.emit
        )

    def ask_again(self, agent: str) -> None:
        """End that before its time."""
        self._actions.end_approve_all(agent)

    def _each(
        self, agents: Sequence[str], give: Callable[[Commands, str], Coroutine[Any, Any, object]], doing: str
    ) -> None:
        if not agents:
            return
        self._actions.progress.emit(doing.format(", ".join(agents)))
        self._actions.give(lambda commands: _in_turn(commands, agents, give), self._told, self._failed)

    def _told(self, refused: dict[str, SkerryError]) -> None:
        self._actions.progress.emit("")
        if refused:
            self._actions.failed.emit(_all_in_one(list(refused.values())))

    def _failed(self, error: SkerryError) -> None:
        self._actions.progress.emit("")
        self._actions.failed.emit(error)


async def _in_turn(
    commands: Commands, agents: Sequence[str], give: Callable[[Commands, str], Coroutine[Any, Any, object]]
) -> dict[str, SkerryError]:
    refused: dict[str, SkerryError] = {}
    for agent in agents:
        try:
            await give(commands, agent)
        except SkerryError as error:
            refused[agent] = error
    return refused


def _all_in_one(errors: Sequence[SkerryError]) -> SkerryError:
    return errors[0] if len(errors) == 1 else SkerryError("; ".join(error.message for error in errors))
