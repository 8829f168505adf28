"""Asking the engine's workflows: every failure becomes an error a user understands."""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import Any

from temporalio.client import (
    Client,
    RPCError,
    RPCTimeoutOrCancelledError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCStatusCode

from app.activities.failures import refused
from app.domain.errors import ActionRefused, AlreadyAnswered, EngineError, NotFound, SkerryError
from app.engine.instance import EngineInfo
from app.workflows import steps

CONNECT_SECONDS = 10.0


class Requests:
    """Updates and signals of agents and fleets."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def update(self, fleet: str, agent: str, name: str, order: object = None, *, update_id: str = "") -> None:
        """Ask an agent. Raises NotFound when it is not at work, ActionRefused when it may not."""
        handle = self._client.get_workflow_handle(steps.agent_workflow_id(fleet, agent))
        gone = f"{agent} is not at work in {fleet}"
        await self.execute(handle, name, order, gone, "see 'skerry status'", update_id=update_id)

    async def execute(
        self,
        handle: WorkflowHandle[Any, Any],
        name: str,
        order: object,
        gone: str,
        hint: str,
        *,
        update_id: str = "",
    ) -> None:
        """Ask a workflow. ``gone`` and ``hint`` are said when it is not there."""
        try:
            await handle.execute_update(name, args=[] if order is None else [order], id=update_id or None)
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from None
        except RPCTimeoutOrCancelledError:
            _let_cancellation_pass()
            words, hint = (
                "the engine gave no answer in time; it may have taken it",
                "see 'skerry status', then try again",
            )
            raise EngineError(words, operation="ask the engine", hint=hint) from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(gone, operation=name, hint=hint) from None
            raise engine_trouble(error) from None

    async def signal(self, workflow_id: str, name: str, reason: str, what: str) -> None:
        """Tell a workflow. Raises NotFound when it is not there."""
        try:
            await self._client.get_workflow_handle(workflow_id).signal(name, reason)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(f"{what} is not at work", operation="stop", hint="see 'skerry status'") from None
            raise engine_trouble(error) from None


async def connect(info: EngineInfo) -> Client:
    """A client; patient, as the engine starts a Temporal server that died again within a second."""
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return await Client.connect(info.temporal, data_converter=pydantic_data_converter, runtime=_quiet())
        except RuntimeError as error:
            if time.monotonic() > until:
                raise EngineError(
                    f"the engine's Temporal server at {info.temporal} does not answer: {error}",
                    operation="connect",
                    hint="try again; if it stays so, 'skerry stop' and start again",
                ) from None
            await asyncio.sleep(0.2)


@cache
def _quiet() -> Runtime:
    """Temporal's client writes a log of its own to the standard output, which belongs to what was asked for."""
    return Runtime(telemetry=TelemetryConfig(logging=None))


def _let_cancellation_pass() -> None:
    """Temporal's client makes this error of our own cancellation as well."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _refusal(error: WorkflowUpdateFailedError) -> SkerryError:
    code, words = refused(error)
    kinds: dict[str, type[SkerryError]] = {"already_answered": AlreadyAnswered, "not_found": NotFound}
    return kinds.get(code, ActionRefused)(words, operation="ask the agent")


def engine_trouble(error: RPCError) -> EngineError:
    """What an error of Temporal means to the user."""
    return EngineError(
        f"the engine did not take it: {error.message}", operation="ask the engine", hint="try again in a moment"
    )
