"""What the user hears when the engine gives no answer."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client

from app.control.requests import Requests
from app.workflows.steps import agent_workflow_id


async def test_who_stops_waiting_for_an_answer_is_let_go(temporal: Client) -> None:
    """Nobody works on that queue: as when the engine was killed. Temporal's client makes an error of its own of it."""
    await temporal.start_workflow("Agent", id=agent_workflow_id("f", "alice"), task_queue="nobody-is-there")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await Requests(temporal).update("f", "alice", "resume")
