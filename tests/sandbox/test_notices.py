from __future__ import annotations

from collections.abc import Mapping

import pytest

from app.domain.machines import Notice
from app.sandbox.notices import Notices, notice_of


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"event": "limit"},
        {"event": "session_ended", "limit": "disk", "detail": "x"},
        {"event": "limit", "limit": "everything", "detail": "x"},
        {"event": "limit", "limit": ["disk"], "detail": "x"},
        {"event": "limit", "limit": "disk", "detail": {"a": 1}},
        {"event": "limit", "limit": "disk", "detail": ""},
    ],
)
def test_what_is_no_notice_is_dropped(event: Mapping[str, object]) -> None:
    assert notice_of(event) is None


def test_words_of_a_machine_are_cut_and_cleaned() -> None:
    found = notice_of({"event": "limit", "limit": "disk", "detail": "a\n\x1b[31mb\u202e" + "x" * 1000})
    assert found is not None and len(found.detail) == 300
    assert found.detail.startswith("a  [31mb x")


def test_a_flood_of_one_kind_leaves_the_others_heard() -> None:
    notices, heard = Notices(), list[Notice]()
    notices.listen("one", heard.append)
    hear = notices.ear("one")
    for _ in range(1000):
        hear({"event": "limit", "limit": "cpu", "detail": "busy"})
    hear({"event": "limit", "limit": "disk", "detail": "full"})
    assert 1 <= len(heard) <= 5 and heard[-1] == Notice("disk", "full")


def test_a_machine_nobody_listens_to_is_no_error() -> None:
    notices, heard = Notices(), list[Notice]()
    notices.listen("one", heard.append)
    notices.tell("two", Notice("disk", "full"))
    notices.forget("one")
    notices.forget("one")
    notices.tell("one", Notice("disk", "full"))
    assert heard == []
