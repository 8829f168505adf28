"""What a tool call asks of the workflow of the agent that calls."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from app.activities.member import Member
from app.workflows import steps
from app.workflows.agent import AgentWorkflow
from app.workflows.state import AgentEnd

_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between tries to tell a workflow what no call waits for."""

_BUSY = (RPCStatusCode.ABORTED, RPCStatusCode.RESOURCE_EXHAUSTED)
_BUSY_PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between tries to ask a workflow that has too much to do."""

TELL_AFTER_SECONDS = 1.0
"""How long what no call waits for is gathered: a workflow does one thing at a time, and a reply should not queue behind
it. Less than ``workflows.waits.SHOWN_AFTER``, so that a wait that was short is not shown."""

log = logging.getLogger(__name__)


class OwnWorkflow:
    """Updates of agents' workflows. Raises WorkflowUpdateFailedError for a refusal, RPCError when Temporal is away."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._telling: set[asyncio.Task[None]] = set()

    async def outcome(self, member: Member, name: str, order: object) -> steps.ActionOutcome:
        """An update that answers with what the agent is told."""
        if name != "send":  # what may be sent does not depend on what was read
            await member.told()
        async with member.asking:
            return await self._ask(member, name, order)

    async def _ask(self, member: Member, name: str, order: object) -> steps.ActionOutcome:
        pauses = iter(_BUSY_PAUSES)
        while True:
            try:
                found: steps.ActionOutcome = await self._handle(member).execute_update(
                    name, order, result_type=steps.ActionOutcome
                )
            except RPCError as error:
                pause = next(pauses, None)
                if error.status not in _BUSY or pause is None:
                    raise
                log.info("%s of %s is asked again: %s", name, member.order.agent, error.message)
                await asyncio.sleep(pause)  # an order names its action: it is carried out once
            else:
                return found

    async def read_inbox(self, member: Member) -> tuple[str, ...]:
        """Ids of the messages that came in, and of those read in this turn already."""
        await member.told()
        return (await self._handle(member).execute_update(AgentWorkflow.read_inbox)).message_ids

    def end_wait(self, member: Member, end: steps.WaitEnd) -> None:
        """Have the workflow told, in a while, that a wait is over; the call goes on meanwhile."""
        member.untold.append(end)
        if len(member.untold) > 1:
            return  # told with those before it
        task = asyncio.get_running_loop().create_task(self._tell_soon(member))
        for telling in (self._telling, member.telling):
            telling.add(task)
            task.add_done_callback(telling.discard)

    async def close(self) -> None:
        """Give up what is not told yet: a message that was given as an answer says so itself."""
        for task in list(self._telling):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _tell_soon(self, member: Member) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(member.hurry.wait(), TELL_AFTER_SECONDS)
        first, *more = member.untold
        member.untold.clear()
        member.hurry.clear()
        await self._tell(member, first.model_copy(update={"more": tuple(more)}))

    async def _tell(self, member: Member, end: steps.WaitEnd) -> None:
        for pause in (*_PAUSES, 0.0):
            try:
                await self._handle(member).execute_update(AgentWorkflow.end_wait, end)
            except WorkflowUpdateFailedError:
                return
            except RPCTimeoutOrCancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    return
                await asyncio.sleep(pause)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return  # the agent has ended, and its waits with it
                log.info("the end of the wait for %s is told again: %s", end.message_id, error.message)
                await asyncio.sleep(pause)
            else:
                return

    def _handle(self, member: Member) -> WorkflowHandle[AgentWorkflow, AgentEnd | str]:
        return self._client.get_workflow_handle_for(
            AgentWorkflow.run, steps.agent_workflow_id(member.order.fleet, member.order.agent)
        )
