"""Where messages stand, by the facts alone; and who waits for whom."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain import events as ev
from app.domain.envelope import Envelope, MessageState
from app.store.database import open_database
from app.store.journal import Journal
from app.store.postbox import Postbox, Wait

NOW = datetime(2026, 1, 1, tzinfo=UTC)
F, R = "demo", "r1"


def accepted(name: str, sender: str, recipient: str, **fields: object) -> ev.MessageAccepted:
    values = {"id": name, "sender": sender, "recipient": recipient, "body": "Hi", "sent_at": NOW} | fields
    return ev.MessageAccepted(
        id=f"{name}/taken", at=NOW, fleet=F, run=R, agent=sender, envelope=Envelope.model_validate(values)
    )


def moved(name: str, state: MessageState) -> ev.MessageMoved:
    return ev.MessageMoved(id=f"{name}/{state}", at=NOW, fleet=F, run=R, message_id=name, state=state)


def wait(waiter: str, awaited: str) -> Wait:
    return Wait(f"m-{waiter}-{awaited}", F, R, waiter, awaited, "reply", NOW + timedelta(minutes=1))


@pytest.fixture
def postbox(tmp_path: Path) -> Postbox:
    return Postbox(tmp_path / "journal.db")


def test_facts_move_messages_and_late_ones_do_not(tmp_path: Path, postbox: Postbox) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.append(accepted("m-1", "alice", "bob"), accepted("m-2", "alice", "bob"))
    assert postbox.count_unread(F, R, "bob") == 2
    journal.append(moved("m-1", MessageState.READ), moved("m-1", MessageState.DELIVERED))
    found = postbox.find("m-1")
    assert found is not None and found.state is MessageState.READ
    assert [row.id for row in postbox.unread(F, R, "bob")] == ["m-2"]
    assert postbox.count_sent(F, R, "alice", NOW) == 2
    journal.close()
    postbox.close()


def test_an_older_journal_gets_its_messages_counted(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.append(accepted("m-1", "alice", "bob"), accepted("m-2", "alice", "bob"))
    journal.append(moved("m-1", MessageState.DELIVERED), moved("m-1", MessageState.READ))
    journal.close()
    with sqlite3.connect(path) as old:
        old.executescript("DROP TRIGGER message_accepted; DROP TRIGGER message_moved; DROP TABLE messages;")
        old.execute("PRAGMA user_version=2")
    old.close()
    open_database(path).close()
    postbox = Postbox(path)
    states = {row.id: row.state for row in postbox.of_run(F, R)}
    assert states == {"m-1": MessageState.READ, "m-2": MessageState.ACCEPTED}
    postbox.close()


def test_messages_whose_time_is_up(tmp_path: Path, postbox: Postbox) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.append(accepted("m-1", "alice", "bob", expires_at=NOW + timedelta(seconds=5)), accepted("m-2", "a", "b"))
    assert postbox.overdue(NOW + timedelta(seconds=4)) == []
    assert [row.id for row in postbox.overdue(NOW + timedelta(seconds=5))] == ["m-1"]
    journal.append(moved("m-1", MessageState.READ))
    assert postbox.overdue(NOW + timedelta(seconds=5)) == []
    journal.close()
    postbox.close()


def test_a_wait_that_would_close_a_circle_is_refused_with_the_circle(postbox: Postbox) -> None:
    names = ["a", "b", "c", "d", "e"]
    for waiter, awaited in itertools.pairwise(names):
        assert postbox.begin_wait(wait(waiter, awaited), NOW) == ()
    assert postbox.begin_wait(wait("e", "a"), NOW) == ("e", "a", "b", "c", "d", "e")
    assert postbox.waiting_for(F, R, "e", NOW) == ("d", "c", "b", "a")
    assert postbox.begin_wait(wait("e", "a"), NOW + timedelta(minutes=2)) == (), "waits end by themselves"
    postbox.end_waits(F, R, "e")
    assert len(postbox.waits(F, R)) == 4
    postbox.close()


def test_of_two_who_ask_in_the_same_instant_one_is_refused(tmp_path: Path) -> None:
    boxes = [Postbox(tmp_path / "journal.db") for _ in range(2)]
    for _ in range(30):
        barrier = threading.Barrier(2)
        circles: list[tuple[str, ...]] = []

        def ask(box: Postbox, waiter: str, awaited: str, start: threading.Barrier, seen: list[tuple[str, ...]]) -> None:
            start.wait()
            seen.append(box.begin_wait(wait(waiter, awaited), NOW))

        pairs = (("a", "b"), ("b", "a"))
        threads = [
            threading.Thread(target=ask, args=(box, *pair, barrier, circles))
            for box, pair in zip(boxes, pairs, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(len, circles)) == [0, 3]
        for waiter in "ab":
            boxes[0].end_waits(F, R, waiter)
    for box in boxes:
        box.close()
