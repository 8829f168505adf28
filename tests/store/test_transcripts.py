"""Conversations as they are kept: each entry once, and given back as the model has to see them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.config import Paths
from app.domain.loops import GO_ON_SHORTER, MAX_CUTS, LoopCall, LoopOutcome, LoopReply, Told
from app.store.transcripts import Thread, Transcripts, call_ids, conversation

THREAD = Thread("f", "r1", "alice", "loop-1")
CALLS = (LoopCall(id="a", name="run_command"), LoopCall(id="b", name="finish"))
REPLY = LoopReply(api="openai", text="So.", calls=CALLS, stop="tools", input_tokens=5, output_tokens=2)


@pytest.fixture
def kept(paths: Paths) -> Iterator[Transcripts]:
    transcripts = Transcripts(paths.journal_db)
    yield transcripts
    transcripts.close()


def outcome(call: str, text: str = "done", *, bad: bool = False) -> LoopOutcome:
    return LoopOutcome(id=call, name="x", text=text, ok=not bad, bad=bad)


def texts(kept: Transcripts) -> list[str]:
    return [item.text for item in conversation(kept.entries(THREAD))]


def test_what_is_kept_stays(kept: Transcripts, paths: Paths) -> None:
    kept.tell(THREAD, 1, "Begin.")
    kept.tell(THREAD, 1, "Something else.")
    kept.reply(THREAD, 1, 1, REPLY)
    kept.reply(THREAD, 1, 1, LoopReply(api="openai", text="Twice."))
    assert kept.begin(THREAD, 1, 1, "a") and not kept.begin(THREAD, 1, 1, "a")
    assert kept.outcome(THREAD, 1, 1, outcome("a")).text == "done"
    assert kept.outcome(THREAD, 1, 1, outcome("a", "again")).text == "done", "what came of it first holds"
    again = Transcripts(paths.journal_db)
    assert conversation(again.entries(THREAD))[:2] == [Told(text="Begin."), REPLY]
    assert call_ids(again.entries(THREAD)) == {"a", "b"}
    assert again.entries(Thread("f", "r1", "bob", "loop-1")) == []
    again.close()


def test_where_a_turn_stands(kept: Transcripts) -> None:
    assert (kept.standing(THREAD, 1).step, kept.standing(THREAD, 1).over) == (0, False)
    kept.reply(THREAD, 1, 1, REPLY)
    kept.outcome(THREAD, 1, 1, outcome("a"))
    stands = kept.standing(THREAD, 1)
    assert (stands.step, stands.over, [call.id for call in stands.open]) == (1, False, ["b"])
    kept.outcome(THREAD, 1, 1, outcome("b"))
    assert not kept.standing(THREAD, 1).open and not kept.standing(THREAD, 1).over
    kept.reply(THREAD, 1, 2, LoopReply(api="openai", text="Over.", input_tokens=7, output_tokens=1))
    stands = kept.standing(THREAD, 1)
    assert (stands.step, stands.over, stands.input_tokens, stands.output_tokens) == (2, True, 12, 3)
    assert kept.standing(THREAD, 2).step == 0


def test_replies_that_lead_nowhere_are_counted(kept: Transcripts) -> None:
    for step in range(1, MAX_CUTS + 1):
        assert not kept.standing(THREAD, 1).over
        kept.reply(THREAD, 1, step, LoopReply(api="openai", text="And", stop="length"))
    assert kept.standing(THREAD, 1).over
    assert texts(kept)[-1] == GO_ON_SHORTER
    kept.reply(THREAD, 2, 1, REPLY)
    for call in ("a", "b"):
        kept.outcome(THREAD, 2, 1, outcome(call, bad=True))
    assert kept.standing(THREAD, 2).bad == 1
    kept.reply(THREAD, 2, 2, REPLY)
    kept.outcome(THREAD, 2, 2, outcome("a", bad=True))
    kept.outcome(THREAD, 2, 2, outcome("b"))
    assert kept.standing(THREAD, 2).bad == 0, "one good call is enough"


def test_calls_that_nothing_came_of_are_told_of(kept: Transcripts) -> None:
    kept.tell(THREAD, 1, "Begin.")
    kept.reply(THREAD, 1, 1, REPLY)
    kept.begin(THREAD, 1, 1, "a")
    kept.tell(THREAD, 2, "Next.")
    told = texts(kept)
    assert told[0] == "Begin." and told[-1] == "Next."
    assert "may have had part of its effect" in told[2] and "was not carried out" in told[3]


def test_a_summary_stands_for_all_before_it(kept: Transcripts) -> None:
    kept.tell(THREAD, 1, "Begin.")
    kept.reply(THREAD, 1, 1, LoopReply(api="openai", text="So."))
    kept.summarise(THREAD, 1, 1, "In short.")
    kept.reply(THREAD, 1, 2, LoopReply(api="openai", text="On."))
    assert texts(kept) == ["In short.", "On."]
    assert kept.standing(THREAD, 1).step == 2, "how far the turn is does not depend on it"
