"""Waiting for facts within the engine: who waits is woken by the append itself, nobody looks every so often."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence

from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.events import Event


def inbox_topic(fleet: str, agent: str) -> str:
    """What is told when something comes in for an agent."""
    return f"inbox/{fleet}/{agent}"


def reply_topic(message_id: str) -> str:
    """What is told when a reply to a message was accepted."""
    return f"reply/{message_id}"


def turn_topic(fleet: str, agent: str) -> str:
    """What is told when an agent's turn ends, however it does."""
    return f"turn/{fleet}/{agent}"


class Watch:
    """One who waits. Look at the state first, then wait for ``news``: what came before the look is in what it saw."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._roused = False
        self._waiter: asyncio.Future[None] | None = None

    def rouse(self) -> None:
        """There is news; from any thread. From the waiter's own it is heard at the loop's next step."""
        if threading.get_ident() == self._thread:
            self._rouse()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._rouse)

    def _rouse(self) -> None:
        self._roused = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def news(self, seconds: float) -> bool:
        """Wait for news; false when ``seconds`` have passed without. News is told once."""
        if not self._roused:
            self._waiter = self._loop.create_future()  # one step from the fact to who waits; ``wait_for`` takes four
            timer = self._loop.call_later(max(0.0, seconds), self._wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        roused, self._roused = self._roused, False
        return roused


class Arrivals:
    """Hears every batch of facts (``Journal.listen``) and rouses those who wait for what is in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: dict[str, list[Watch]] = {}

    def hear(self, events: Sequence[Event]) -> None:
        """Facts were appended; called in the thread that did."""
        if self._watches:
            self.rouse(*(topic for event in events for topic in _topics(event)))

    def rouse(self, *topics: str) -> None:
        """Have those who wait for any of ``topics`` look again."""
        with self._lock:
            roused = {watch for topic in topics for watch in self._watches.get(topic, ())}
        for watch in roused:
            watch.rouse()

    def is_watched(self, topic: str) -> bool:
        """Whether somebody waits for news of ``topic``."""
        with self._lock:
            return topic in self._watches

    @contextlib.contextmanager
    def watch(self, *topics: str) -> Iterator[Watch]:
        """News of ``topics``: ids of messages and interrupts, ``reply_topic``, ``inbox_topic`` and ``turn_topic``."""
        watch = Watch()
        with self._lock:
            for topic in topics:
                self._watches.setdefault(topic, []).append(watch)
        try:
            yield watch
        finally:
            with self._lock:
                for topic in topics:
                    self._watches[topic].remove(watch)
                    if not self._watches[topic]:
                        del self._watches[topic]


def _topics(event: Event) -> tuple[str, ...]:
    match event:
        case ev.MessageAccepted(envelope=envelope):
            return envelope.id, reply_topic(envelope.reply_to or ""), inbox_topic(event.fleet, envelope.recipient)
        case ev.MessageMoved(state=MessageState.DELIVERED):
            return event.message_id, inbox_topic(event.fleet, event.agent)
        case ev.MessageMoved():
            return (event.message_id,)
        case ev.InterruptSettled():
            return (event.interrupt_id,)
        case ev.AgentMoved() | ev.TurnEnded():
            return (turn_topic(event.fleet, event.agent),)
        case _:
            return ()
