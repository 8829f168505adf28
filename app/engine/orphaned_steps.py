"""Steps that an engine had under way when it died are handed to the next one at its start.

Temporal would find out by itself, by the silence of ``HEARTBEAT_TIMEOUT``. We know at once: a home has one engine,
guarded by a lock, so before our worker takes up its work nobody works on what Temporal takes for under way.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from app.workflows import steps

log = logging.getLogger(__name__)

HAND_OVER_SECONDS = 10.0
"""How long a start may take for this; what is left then is found by its silence."""
AGAIN_AFTER = timedelta(milliseconds=10)
"""Instead of the pause of ``STEP_RETRY``, which grows with each attempt: nothing was wrong with the step."""
ORPHANED = "engine_ended"

_OPEN = f"ExecutionStatus = 'Running' AND TaskQueue = '{steps.TASK_QUEUE}'"
_UNDER_WAY = frozenset(
    {
        PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED,
    }
)


async def hand_over_orphaned_steps(client: Client) -> int:
    """Let every step that is under way be tried again at once; returns how many. Only while no worker is there.

    The try that died counts as one, as it does when its silence ends it; a step somebody wanted cancelled is not tried
    again, it ends. A failure is logged: the engine works without.
    """
    freed = 0
    try:
        async with asyncio.timeout(HAND_OVER_SECONDS):
            names = [item.id async for item in client.list_workflows(_OPEN)]
            freed = sum(await asyncio.gather(*(_hand_over(client, name) for name in names)))
    except (RPCError, TimeoutError) as error:
        log.warning("steps of an engine that died are found by their silence only: %s", error)
    if freed:
        log.info("%d steps that an earlier engine had under way go on at once", freed)
    return freed


async def _hand_over(client: Client, name: str) -> int:
    try:
        description = await client.get_workflow_handle(name).describe()
        under_way = [item for item in description.raw_description.pending_activities if item.state in _UNDER_WAY]
        handle = client.get_workflow_handle(name, run_id=description.run_id)
        return sum([await _fail(client, handle, item.activity_id) for item in under_way])
    except RPCError as error:
        log.warning("the steps of %s were not looked at: %s", name, error)
        return 0


async def _fail(client: Client, of: WorkflowHandle[object, object], activity_id: str) -> bool:
    """Whether the step was still under way."""
    orphan = client.get_async_activity_handle(workflow_id=of.id, run_id=of.run_id, activity_id=activity_id)
    try:
        ended = ApplicationError("the engine that did this ended", type=ORPHANED, next_retry_delay=AGAIN_AFTER)
        await orphan.fail(ended)
    except RPCError as error:  # it timed out just now
        log.info("%s of %s is not under way any more: %s", activity_id, of.id, error)
        return False
    return True
