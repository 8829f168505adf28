"""How our errors become Temporal's, so that what cannot get better is not tried again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity
from temporalio.exceptions import ApplicationError

from app.domain.errors import SkerryError

MAX_TRIES = 4
"""How often a step that fails, not one whose engine died, is tried before the agent fails with the reason."""


@asynccontextmanager
async def told_to_temporal() -> AsyncIterator[None]:
    """Within: a SkerryError fails the activity with its code as type; the last try's failure is final."""
    try:
        yield
    except SkerryError as error:
        final = not error.retryable or activity.info().attempt >= MAX_TRIES
        raise ApplicationError(str(error), type=error.code, non_retryable=final) from error


def refused(error: BaseException) -> tuple[str, str]:
    """(code, words) of the ApplicationError a workflow answered an update with, however deep it lies."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApplicationError):
            return cause.type or "refused", cause.message
        cause = cause.__cause__
    return "error", str(error)
