from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)
_KEYS = st.sampled_from(
    ["recipient", "body", "subject", "mode", "message_id", "attachments", "kind", "wait_seconds", "decision", "sender"]
)


@given(st.sampled_from([action.name for action in actions.ACTIONS]), st.dictionaries(_KEYS | st.text(), _JSON))
def test_whatever_a_program_sends_becomes_an_action_or_a_refusal(name: str, arguments: dict[str, object]) -> None:
    try:
        action = actions.parse_action(name, arguments)
    except ActionRefused as error:
        assert error.message.startswith(f"{name}: ")
        return
    assert action.name == name
    assert "sender" not in arguments
    action.model_dump_json().encode("utf-8")


def test_deep_and_huge_arguments_are_refused() -> None:
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    for arguments in ({"recipient": "bob", "body": deep}, {"recipient": "bob", "body": "x", "n" * 10**6: 1}):
        with pytest.raises(ActionRefused):
            actions.parse_action("send_message", arguments)
    while isinstance(deep, list):  # piece by piece: to free it at once would take as deep a stack
        deep = deep.pop()
