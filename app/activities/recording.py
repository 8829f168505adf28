"""Who hears a turn: puts it on record, and asks the rules and the user what the agent may."""

from __future__ import annotations

from functools import partial

from temporalio import activity

from app.activities.forms import Forms
from app.activities.mail_room import MailRoom
from app.activities.member import Member
from app.activities.observer import TurnRecorder
from app.activities.own_workflow import OwnWorkflow
from app.activities.permissions import Permissions
from app.activities.turn_questions import TurnQuestions
from app.workflows.steps import TurnOrder


def recorder_of(mail: MailRoom, member: Member, turn: TurnOrder, attempt: int) -> TurnRecorder:
    """The ear of one try, ``attempt``, of a turn; for the body of an activity."""
    questions = TurnQuestions(mail, OwnWorkflow(activity.client()))
    return TurnRecorder(
        mail.journal,
        turn,
        attempt=attempt,
        output_limit=int(member.spec.limits.output),
        permit=partial(Permissions(questions).permit, member, turn.turn),
        fill=partial(Forms(questions).fill, member, turn.turn),
    )
