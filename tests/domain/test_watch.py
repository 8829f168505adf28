"""What counts as getting on, and what does not: the watch on facts alone."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.domain import events as ev
from app.domain.envelope import Envelope
from app.domain.events import AgentStatus
from app.domain.interrupt import InterruptState
from app.domain.limits import suspicious
from app.domain.watch import SHORT_MESSAGE, AgentWatch, PairWatch, Suspicion
from app.testing import EventBuilder


class Film:
    """Facts of alice, one a second."""

    def __init__(self) -> None:
        self.build = EventBuilder()
        self.watch = AgentWatch("alice")
        self.calls = 0
        self.asked = 0
        first = self.build.moved("alice", AgentStatus.RUNNING)
        self.now = self.begun = first.at
        self.watch.learn(first)

    def add(self, kind: type[ev.Fact], **values: object) -> None:
        fact = kind.model_validate(self.build.base("alice") | {"turn": 1} | values)
        self.now = fact.at
        self.watch.learn(fact)  # type: ignore[arg-type]

    def fail(self, command: str = "make", output: str = "error") -> None:
        self._end("failed", command, 2, output)

    def succeed(self, command: str = "make") -> None:
        self._end("completed", command, 0, "")

    def _end(self, status: str, command: str, exit_status: int, output: str) -> None:
        self.calls += 1
        named = {"call_id": f"c{self.calls}", "command": command, "status": status}
        self.add(ev.ToolEnded, **named, exit_status=exit_status, output=output)

    def suspicions(self, after: float = 0.0) -> list[Suspicion]:
        now = self.now + timedelta(seconds=after)
        return list(self.watch.suspicions(now, since=self.begun, stall=60.0, failures=3))

    def ask(self) -> str:
        """Raise what there is, as the host does."""
        (found,) = self.suspicions()
        asked = suspicious("r1", "alice", found, self.asked, self.now)
        self.asked += 1
        self.add(ev.InterruptRaised, interrupt=asked)
        return asked.id

    def answer(self, interrupt_id: str) -> None:
        self.add(ev.InterruptSettled, interrupt_id=interrupt_id, state=InterruptState.ANSWERED)


def test_silence_is_time_without_a_sign_of_work() -> None:
    film = Film()
    for kind, values in (
        (ev.AgentSaid, {"text": "Hm."}),
        (ev.ToolStarted, {"call_id": "c", "title": "make", "command": "make"}),
        (ev.ToolOutput, {"call_id": "c", "text": "cc"}),
        (ev.WorkspaceMirrored, {"files": 1, "bytes": 1}),
    ):
        film.add(kind, **values)
        assert not film.suspicions(after=59)
        assert [item.cause for item in film.suspicions(after=63)] == ["stall"]
    film.add(ev.ModelCalled, provider="p", model="m", status=200)
    assert film.suspicions(after=63), "that a model answers is not yet progress"


def test_only_who_runs_can_stall() -> None:
    for state in AgentStatus:
        if state is not AgentStatus.RUNNING:
            film = Film()
            film.add(ev.AgentMoved, state=state)
            assert not film.suspicions(after=10_000), state


def test_a_failure_is_the_same_when_command_and_result_are() -> None:
    film = Film()
    for output in ("took 1.2 s", "took 3.4 s"):
        film.fail(output=output)
    assert not film.suspicions()
    film.fail("make test")
    assert not film.suspicions()
    for _ in range(2):
        film.fail("make test")
    assert [item.cause for item in film.suspicions()] == ["failures"]
    film.succeed("make test")
    assert not film.suspicions()


def test_not_asked_again_before_it_was_answered_and_something_went_well() -> None:
    film = Film()
    for _ in range(3):
        film.fail()
    (found,) = film.suspicions()
    assert "with exit status 2" in found.evidence
    asked = film.ask()
    for _ in range(9):
        film.fail()
        assert not film.suspicions()
    film.answer(asked)
    for _ in range(9):
        film.fail()
        assert not film.suspicions(), "answered, but nothing has gone well since"
    film.succeed("ls")
    for _ in range(3):
        assert not film.suspicions()
        film.fail()
    assert [item.cause for item in film.suspicions()] == ["failures"]


def pair(*bodies: str, first: str = "alice", work: str = "") -> PairWatch:
    build, watch, sender = EventBuilder(), PairWatch(), first
    for number, body in enumerate(bodies):
        recipient = "bob" if sender == "alice" else "alice"
        envelope = Envelope(
            id=f"m-{number:012x}",
            sender=sender,
            recipient=recipient,
            body=body,
            sent_at=build.moved("x", AgentStatus.IDLE).at,
        )
        watch.learn(ev.MessageAccepted.model_validate(build.base(sender) | {"envelope": envelope}))
        if work and body == work:
            named = {"turn": 1, "call_id": "c", "status": "completed", "command": "make"}
            watch.learn(ev.ToolEnded.model_validate(build.base(sender) | named))
        sender = recipient
    return watch


def test_short_messages_to_and_fro() -> None:
    found = pair(*["Thanks!"] * 6).suspicion(6)
    assert found is not None and found.key == "ping_pong:alice+bob"
    assert pair(*["Thanks!"] * 5).suspicion(6) is None
    assert pair(*["Thanks!"] * 5, "x" * (SHORT_MESSAGE + 1), "Thanks!").suspicion(6) is None
    assert pair(*["Thanks!"] * 3, "Ran it.", *["Thanks!"] * 4, work="Ran it.").suspicion(6) is None


@given(st.lists(st.sampled_from(["fail", "succeed", "say", "answer", "ask"]), max_size=60))
def test_never_two_open_questions_about_the_same(doings: list[str]) -> None:
    film, asked = Film(), ""
    for doing in doings:
        if doing == "fail":
            film.fail()
        elif doing == "succeed":
            film.succeed()
        elif doing == "say":
            film.add(ev.AgentSaid, text="Hm.")
        elif doing == "answer" and asked:
            film.answer(asked)
            asked = ""
        elif doing == "ask" and any(item.cause == "failures" for item in film.suspicions()):
            assert not asked, "it was open"
            found = next(item for item in film.suspicions() if item.cause == "failures")
            interrupt = suspicious("r1", "alice", found, film.asked, film.now)
            film.asked += 1
            film.add(ev.InterruptRaised, interrupt=interrupt)
            asked = interrupt.id
