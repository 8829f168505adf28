"""What a person sees of an agent in Temporal's own window, and can filter by."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from app.domain.events import AgentStatus
    from app.workflows import steps
    from app.workflows.state import AgentState

AGENT = SearchAttributeKey.for_keyword("SkerryAgent")
FLEET = SearchAttributeKey.for_keyword("SkerryFleet")
STATE = SearchAttributeKey.for_keyword("SkerryState")
REASON = SearchAttributeKey.for_text("SkerryReason")


def introduce(order: steps.AgentOrder, team: frozenset[str]) -> None:
    """Say once in a run of the workflow whose it is."""
    workflow.upsert_search_attributes([AGENT.value_set(order.agent), FLEET.value_set(order.fleet)])
    workflow.upsert_memo(
        {"agent": order.agent, "run": order.run, "project": order.project_file, "team": ", ".join(sorted(team))}
    )


def show(state: AgentState) -> None:
    """Say what the agent does and why."""
    workflow.upsert_search_attributes([STATE.value_set(state.status.value), REASON.value_set(state.reason)])
    lines = [f"**{state.status.value}**: {state.reason}", f"turn {state.turn}, {len(state.inbox)} unread"]
    if state.status is AgentStatus.WAITING and state.waits:
        lines.append("waits in its turn for " + ", ".join(state.waits))
    if state.confirms:
        lines.append("has to accept or decline " + ", ".join(state.confirms))
    workflow.set_current_details("\n\n".join(lines))
