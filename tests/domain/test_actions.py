from __future__ import annotations

import json

import pytest

from app.domain import actions
from app.domain.errors import ActionRefused


def test_every_tool_has_help_and_a_plain_schema() -> None:
    names = [action.name for action in actions.ACTIONS]
    assert len(set(names)) == len(names) == 13
    for action in actions.ACTIONS:
        text = json.dumps(actions.schema(action))
        assert len(actions.help_text(action)) > 20
        assert '"title"' not in text
        assert json.loads(text)["additionalProperties"] is False


def test_a_call_becomes_its_typed_action() -> None:
    action = actions.parse_action("send_message", {"recipient": "bob", "body": "Hi"})
    assert action == actions.SendMessage(recipient="bob", body="Hi")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("rm_rf", {}, "there is no tool 'rm_rf' .*send_message"),
        ("send_message", {"recipient": "bob"}, "body: Field required"),
        ("send_message", {"recipient": "bob", "body": "x", "sender": "user"}, "sender: Extra inputs are not permitted"),
        ("ask_user", {"question": ""}, "question: String should have at least 1 character"),
        ("finish", {"summary": 7}, "summary: Input should be a valid string"),
    ],
)
def test_a_wrong_call_is_refused_in_words_for_the_model(name: str, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ActionRefused, match=words):
        actions.parse_action(name, arguments)
