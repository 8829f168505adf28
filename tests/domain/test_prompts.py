from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain import prompts
from app.domain.envelope import Envelope
from app.domain.fleet import Fleet
from app.domain.interrupt import Answer, Interrupt, InterruptKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FLEET = Fleet.model_validate(
    {
        "agents": [
            {
                "id": "alice",
                "type": "codex",
                "description": "Builds.",
                "responsibilities": ["Build it", "Keep it"],
                "direct_communication": ["bob"],
                "initial_instructions": "Build the thing.",
            },
            {"id": "bob", "type": "codex", "description": "Tests."},
            {"id": "carol", "type": "codex"},
        ]
    }
)


def test_an_agent_learns_who_it_is_and_whom_it_may_write_to() -> None:
    page = prompts.about(FLEET.agent("alice"), FLEET, "Be kind.")
    assert page.startswith("# You are alice\n\nBuilds.\n\n## Your responsibilities\n\n- Build it\n- Keep it\n")
    assert "- `bob`: Tests.\n" in page
    assert "- `carol`: codex (a new message to it is held until the user approves; replies pass)" in page
    assert page.endswith("## Your rules\n\nBe kind.\n")


def test_the_first_prompt_carries_memory_only_when_there_is_one() -> None:
    alice, bob = FLEET.agent("alice"), FLEET.agent("bob")
    assert prompts.first_prompt(alice, " \n") == "Build the thing."
    assert prompts.first_prompt(alice, "# M\nx\n") == "Build the thing.\n\nYour memory so far:\n\n# M\nx"
    assert prompts.first_prompt(bob, "") == "Begin with your responsibilities."


def test_blocks_are_as_the_rehearsals_expect_them() -> None:
    message = Envelope(id="m-1", sender="bob", recipient="alice", subject="Hi", body="Hello\nthere", sent_at=NOW)
    assert prompts.message_block(message) == "Message m-1 from bob — Hi\n\nHello\nthere"
    asked = Interrupt(id="i-1", agent="alice", kind=InterruptKind.USER_INPUT, title="Which?", raised_at=NOW)
    with pytest.raises(ValueError, match="no answer"):
        prompts.answer_block(asked)
    answered = asked.model_copy(update={"answer": Answer(option="red", text="please")})
    assert prompts.answer_block(answered) == "You asked: Which?\n\nAnswer to i-1: red\nplease"
    changed = asked.model_copy(update={"answer": Answer(action="modify", text="Do that.")})
    assert prompts.answer_block(changed).startswith("New instructions from the user, in answer to i-1 (Which?):")


def test_unread_messages_are_mentioned() -> None:
    assert prompts.unread_note(0) == ""
    assert "1 unread message:" in prompts.unread_note(1)
    assert "2 unread messages:" in prompts.unread_note(2)
