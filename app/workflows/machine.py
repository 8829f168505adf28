"""An agent held by the user: its machine stands still at once, or is saved to disk after the turn; later it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from app.domain.events import AgentStatus
    from app.domain.text import first_line
    from app.workflows import steps
    from app.workflows.state import AgentState

BY_THE_USER = "by the user"
_AFTER = {"disk": "after this turn", "command": "after this command"}
ON_DISK = "by the user; its machine is saved to disk"

Move = Callable[[AgentStatus, str], Awaitable[None]]


class MachineHold:
    """Pause and resume of one agent's machine.

    The fact that an agent is paused is recorded before its machine is: a turn that is tried again after a crash sees
    it and waits, where it would set the machine going.
    """

    def __init__(self, order: steps.AgentOrder, state: AgentState, move: Move) -> None:
        self._order = order
        self._state = state
        self._move = move
        self._lock = asyncio.Lock()
        self._before = ""
        self.turning = False
        """Whether a turn is under way."""
        self.over = False
        """Whether the agent has ended: nobody stands still or goes on any more."""

    async def run(self) -> None:
        """Until the agent has ended: have it stand still as soon as its command has ended, when that is wanted."""
        while not self.over:
            await workflow.wait_condition(lambda: self.over or self._waits_for_command())
            if self._waits_for_command() and await self._command_ended():
                await self._freeze_after_command()

    async def pause(self, order: steps.PauseOrder) -> None:
        """Hold the agent; returns when it stands still, or when that is sure to happen after its command or turn."""
        state = self._state
        async with self._lock:
            if state.pause or state.stop:
                return
            after_command = order.after_command and self.turning
            state.pause = "disk" if order.to_disk else "command" if after_command else "now"
            if not state.prepared or (self.turning and state.pause != "now"):
                when = "when its machine is ready" if not state.prepared else _AFTER[state.pause]
                self._before = state.reason
                await self._move(state.status, f"is paused {when}")
            elif self.turning:
                await self._freeze()
            else:
                await workflow.wait_condition(lambda: state.still or not state.pause or self._ending())

    async def resume(self) -> None:
        """Let it go on; returns when its machine runs, or (no turn was cut) when it is sure to."""
        state = self._state
        async with self._lock:
            if not state.pause:
                return
            if self.turning and state.still:
                await self._thaw()
            elif not state.still:
                state.pause = ""
                await self._move(state.status, self._before)
            else:
                state.pause = ""
                await workflow.wait_condition(lambda: not state.still or self._ending())

    async def stand_still(self) -> None:
        """Between turns: hold the machine until the user lets it go on, or stops the agent."""
        state = self._state
        state.pause = "now" if state.pause == "command" else state.pause
        if not state.still:
            if state.pause == "disk":
                await self._save()
            else:
                await self._freeze()
        await workflow.wait_condition(
            lambda: not state.pause or bool(state.stop) or workflow.info().is_continue_as_new_suggested()
        )
        if not state.pause and not state.stop:
            await self._go_on()

    async def let_die(self) -> None:
        """Before a turn is cancelled: a machine that stands still could not hear of it."""
        if self._state.pause == "now":
            try:
                await self._do(steps.THAW_MACHINE, steps.PAUSE_TIMEOUT)
            except ActivityError:
                workflow.logger.warning("the machine of %s did not go on", self._order.agent)

    def _waits_for_command(self) -> bool:
        return self._state.pause == "command" and self.turning and not self._ending()

    async def _command_ended(self) -> bool:
        """Wait for it; False when nobody wants to know any more."""
        handle = workflow.start_activity(
            steps.AWAIT_COMMAND,
            self._order,
            start_to_close_timeout=steps.TURN_TIMEOUT,
            heartbeat_timeout=steps.HEARTBEAT_TIMEOUT,
            retry_policy=steps.STEP_RETRY,
        )
        await workflow.wait_condition(lambda: handle.done() or not self._waits_for_command())
        if not handle.done():
            handle.cancel()
        try:
            await handle
        except ActivityError:
            if self._waits_for_command():
                workflow.logger.warning("nobody knows whether a command of %s runs", self._order.agent)
        return self._waits_for_command()

    async def _freeze_after_command(self) -> None:
        async with self._lock:
            if not self._waits_for_command():
                return
            self._state.pause = "now"
            try:
                await self._freeze()
            except ApplicationError:
                workflow.logger.warning("the machine of %s cannot be paused", self._order.agent)

    def _ending(self) -> bool:
        return self.over or bool(self._state.stop)

    async def _freeze(self) -> None:
        status, reason = self._state.status, self._state.reason
        self._before = reason
        await self._move(AgentStatus.PAUSED, BY_THE_USER)
        try:
            await self._do(steps.PAUSE_MACHINE, steps.PAUSE_TIMEOUT)
        except ActivityError as error:
            if self.turning:
                self._state.pause = ""
                await self._move(status, reason)
                raise ApplicationError(f"its machine cannot be paused: {words(error)}", type="refused") from None
            workflow.logger.warning("the machine of %s runs, without a turn", self._order.agent)
        self._state.still = True

    async def _save(self) -> None:
        await self._move(AgentStatus.PAUSED, f"{BY_THE_USER}; its machine is being saved to disk")
        try:
            await self._do(steps.SUSPEND_MACHINE, steps.SUSPEND_TIMEOUT)
        except ActivityError as error:
            self._state.pause = "now"
            await self._move(AgentStatus.PAUSED, f"{BY_THE_USER}; its machine stays in memory: {words(error)}")
            return
        self._state.still = True
        await self._move(AgentStatus.PAUSED, ON_DISK)

    async def _thaw(self) -> None:
        """In the middle of a turn."""
        state = self._state
        await self._move(AgentStatus.RUNNING, "goes on where it stood still")
        try:
            await self._do(steps.THAW_MACHINE, steps.PAUSE_TIMEOUT)
        except ActivityError as error:
            await self._move(AgentStatus.PAUSED, BY_THE_USER)
            raise ApplicationError(f"its machine does not go on: {words(error)}", type="refused") from None
        state.pause, state.still = "", False

    async def _go_on(self) -> None:
        await self._move(AgentStatus.STARTING, "its machine goes on")
        try:
            await self._do(steps.RESUME_MACHINE, steps.PREPARE_TIMEOUT)
        except ActivityError:
            workflow.logger.warning("the machine of %s did not go on: its next turn tries again", self._order.agent)
        self._state.still = False

    async def _do(self, name: str, timeout: timedelta) -> None:
        await workflow.execute_activity(
            name,
            self._order,
            start_to_close_timeout=timeout,
            heartbeat_timeout=steps.HEARTBEAT_TIMEOUT,
            retry_policy=steps.STEP_RETRY,
        )


def words(error: ActivityError) -> str:
    """The innermost cause of a failed step, in its own words."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = cause.message if isinstance(cause, ApplicationError) else str(cause)
    return first_line(text, 300) or "a step failed"
