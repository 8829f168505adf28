from __future__ import annotations

import asyncio
import threading
import time

from app.activities.arrivals import Arrivals, inbox_topic, turn_topic
from app.domain import events as ev
from app.domain.envelope import Envelope, MessageState
from app.testing import EventBuilder

FACTS = EventBuilder()


def accepted(message_id: str, reply_to: str | None = None) -> ev.MessageAccepted:
    base = FACTS.base("alice")
    envelope = Envelope(
        id=message_id, sender="alice", recipient="bob", body="Hi", reply_to=reply_to, sent_at=str(base["at"])
    )
    return ev.MessageAccepted.model_validate(base | {"envelope": envelope})


def moved(message_id: str, state: MessageState) -> ev.MessageMoved:
    return ev.MessageMoved.model_validate(FACTS.base("bob") | {"message_id": message_id, "state": state})


async def test_facts_of_another_thread_rouse_those_who_wait_for_them() -> None:
    arrivals = Arrivals()
    with arrivals.watch("m-1") as watch:
        threading.Timer(0.05, lambda: arrivals.hear([moved("m-1", MessageState.READ)])).start()
        began = time.monotonic()
        assert await watch.news(10)
        assert time.monotonic() - began < 5
        assert not await watch.news(0.01), "news is told once"


async def test_what_comes_before_the_wait_is_not_missed() -> None:
    arrivals = Arrivals()
    with arrivals.watch("m-1", inbox_topic(FACTS.fleet, "bob")) as watch:
        arrivals.hear([accepted("m-2", reply_to="m-1")])
        assert await watch.news(1)
        arrivals.hear([accepted("m-3")])
        assert await watch.news(1)


async def test_who_waits_is_roused_by_its_own_thread_and_a_cancelled_wait_leaves_nothing() -> None:
    arrivals, loop = Arrivals(), asyncio.get_running_loop()
    with arrivals.watch("m-1") as watch:
        loop.call_soon(arrivals.rouse, "m-1")
        assert await watch.news(10)
        wait = asyncio.create_task(watch.news(10))
        await asyncio.sleep(0)
        wait.cancel()
        await asyncio.wait([wait])
        arrivals.rouse("m-1")
        assert await watch.news(0), "news that came while nobody waited is there"


async def test_strangers_are_left_in_peace_and_nobody_stays_listed() -> None:
    arrivals = Arrivals()
    with arrivals.watch("m-1", turn_topic(FACTS.fleet, "alice")) as one, arrivals.watch("m-1") as other:
        arrivals.hear([accepted("m-2"), moved("m-3", MessageState.DELIVERED)])
        assert not await one.news(0.02)
        arrivals.hear([FACTS.moved("alice", ev.AgentStatus.STOPPED)])
        assert await one.news(1)
        assert not await other.news(0.02)
    arrivals.hear([moved("m-1", MessageState.READ)])
    await asyncio.sleep(0)
    assert not await one.news(0.02)
