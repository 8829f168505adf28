"""Starting one agent of a run that has ended: the run goes on with it alone."""

from __future__ import annotations

import asyncio
import time

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from app.config import Paths
from app.control.requests import engine_trouble
from app.domain.errors import ActionRefused
from app.engine.minds import has_ended
from app.store.journal import Journal
from app.store.postbox import Postbox
from app.workflows import steps

CLOSING_SECONDS = 15.0
"""How long the workflow of a run whose end is on record may take to close."""


async def over(client: Client, journal: Journal, fleet: str) -> bool:
    """Whether no workflow of the fleet is there to be asked; one that is about to close is waited for."""
    until = time.monotonic() + CLOSING_SECONDS
    while await _is_open(client, fleet):
        if not _is_on_record(journal, fleet) or time.monotonic() >= until:
            return False
        await asyncio.sleep(0.1)
    return True


async def start_after_the_end(client: Client, journal: Journal, paths: Paths, fleet: str, agent: str) -> None:
    """See ``revive``; Temporal's errors become those of a user."""
    from app.engine.reseed import revive  # it can replay workflows, and so loads all that they do

    postbox = Postbox(paths.journal_db)
    try:
        await revive(client, journal, postbox, fleet, agent)
    except WorkflowAlreadyStartedError:
        raise ActionRefused("the team was started by someone else just now", operation="start") from None
    except RPCError as error:
        raise engine_trouble(error) from None
    finally:
        postbox.close()


def _is_on_record(journal: Journal, fleet: str) -> bool:
    return any(has_ended(journal, started) for started in journal.newest_runs() if started.fleet == fleet)


async def _is_open(client: Client, fleet: str) -> bool:
    try:
        description = await client.get_workflow_handle(steps.fleet_workflow_id(fleet)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise engine_trouble(error) from None
    return description.status is WorkflowExecutionStatus.RUNNING
