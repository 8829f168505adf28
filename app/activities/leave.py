"""Whether an agent may use one of Skerry's own tools: it may, where no rule of a person says otherwise."""

from __future__ import annotations

import asyncio
import json

from app.activities.member import Member
from app.activities.permissions import OWN_TOOL, Permissions
from app.activities.turn_questions import TurnQuestions
from app.domain import actions as act
from app.domain.decisions import UseTool
from app.domain.errors import ActionRefused, ConfigError
from app.domain.ports import PermissionAsked

_OPTIONS = (("yes", "Yes", "allow_once"), ("no", "No", "reject_once"))


class Leave:
    """The same engine as for commands; a question to the user waits in the tool call, a bounded time."""

    def __init__(self, questions: TurnQuestions, block_seconds: float) -> None:
        self._permissions = Permissions(questions)
        self._seconds = block_seconds

    async def take(self, member: Member, action: act.AnyAction) -> None:
        """Return when the agent may. Raises ActionRefused when it may not, or when that is not decided yet."""
        try:
            judged = member.rules.decide(UseTool(action.name, own=True))
        except ConfigError:  # there never were rules: nobody has forbidden it
            return
        if judged.decision.verdict == "allow":
            return
        try:
            async with asyncio.timeout(self._seconds):
                given = await self._permissions.permit(member, member.turn, _asked(action))
        except TimeoutError:
            raise ActionRefused(
                f"the user was asked whether you may use {action.name}, and has not answered yet",
                operation=action.name,
                hint="call it again with the same arguments to go on waiting, or go on without",
            ) from None
        if given.option is None or given.told:
            raise ActionRefused(given.told or f"{action.name} is not possible now", operation=action.name)


def _asked(action: act.AnyAction) -> PermissionAsked:
    arguments = json.dumps(action.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)
    return PermissionAsked(
        call_id=f"tool-{action.name}",
        title=f"{action.name} {arguments}",
        command="",
        options=_OPTIONS,
        kind=OWN_TOOL,
    )
