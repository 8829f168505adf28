"""What a person can filter by in Temporal's window: agent, fleet, state and the reason for it.

The server's own option for this is ignored as soon as its database exists, so the operator service is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from app.domain.errors import EngineError

ATTRIBUTES: Mapping[str, IndexedValueType.ValueType] = {
    "SkerryAgent": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "SkerryFleet": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "SkerryState": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "SkerryReason": IndexedValueType.INDEXED_VALUE_TYPE_TEXT,
}
WAIT_SECONDS = 30.0


async def register_search_attributes(client: Client) -> None:
    """Make the attributes known in the client's namespace; those known already stay. Returns when they can be used.

    Raises EngineError when the server does not take them in time.
    """
    until = time.monotonic() + WAIT_SECONDS
    await _add_missing(client)
    while not await _usable(client):
        if time.monotonic() > until:
            raise EngineError(
                f"the Temporal server does not know its search attributes after {WAIT_SECONDS:.0f} s",
                operation="start Temporal",
                hint="see the Temporal log in the state folder",
            )
        await asyncio.sleep(0.02)


async def _add_missing(client: Client) -> None:
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = {name: kind for name, kind in ATTRIBUTES.items() if name not in known.custom_attributes}
    if not missing:
        return
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


async def _usable(client: Client) -> bool:
    """The server looks its list up now and then: before that a search that names one of ours is an error."""
    try:
        await client.count_workflows(" AND ".join(f"{name} = 'x'" for name in ATTRIBUTES))
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise
    return True
