"""Facts of a run, in the order they would happen, written to a real journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.domain import events as ev
from app.domain.envelope import Envelope, MessageState
from app.domain.events import AgentStatus, Event
from app.domain.interrupt import Answer, Interrupt, InterruptKind, InterruptState
from app.store.journal import Journal

BEGIN = datetime(2026, 11, 22, 14, 3, 12, tzinfo=UTC)
AGENTS = {
    "dev-agent": "Software developer agent responsible for implementing features",
    "test-agent": "Software tester agent that validates code correctness",
    "product-owner-agent": "Product owner agent that defines features and requirements",
}


class Story:
    """Tells facts to a journal; each comes ``step`` seconds after the one before."""

    def __init__(self, journal: Journal, fleet: str, run: str = "run-1", begin: datetime = BEGIN) -> None:
        self.journal = journal
        self.fleet = fleet
        self.run = run
        self.at = begin
        self.told: list[Event] = []

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)

    def tell(self, kind: type[ev.Fact], agent: str = "", **fields: object) -> None:
        """Append one fact."""
        base = {
            "id": f"{self.run}/{len(self.told)}",
            "at": self.at,
            "fleet": self.fleet,
            "run": self.run,
            "agent": agent,
        }
        event = kind.model_validate(base | fields)
        self.told.append(event)  # type: ignore[arg-type]
        self.journal.append(event)  # type: ignore[arg-type]
        self.wait(0.4)

    # -- words for what happens often --------------------------------------------------------------------------------
    def start(self, agents: dict[str, str] | None = None, rehearsal: str = "blueprint") -> None:
        """The user starts the fleet."""
        declared = [
            {"id": name, "type": "codex", "description": words, "model": "gpt-5.1-codex"}
            for name, words in (AGENTS if agents is None else agents).items()
        ]
        self.tell(ev.RunStarted, project="feature-x", root="/home/ada/feature-x", agents=declared, rehearsal=rehearsal)

    def state(self, agent: str, state: AgentStatus, reason: str = "", turn: int = 0) -> None:
        """An agent's new state."""
        self.tell(ev.AgentMoved, agent, state=state, reason=reason, turn=turn)

    def machine(self, agent: str, seconds: float = 1.4, note: str = "restored from template") -> None:
        """An agent's machine came up."""
        self.tell(ev.SandboxChanged, agent, state="ready", note=note, seconds=seconds)

    def turn(self, agent: str, turn: int, prompt: str, cause: str = "messages") -> None:
        """A turn begins."""
        self.state(agent, AgentStatus.RUNNING, f"turn {turn}", turn)
        self.tell(ev.TurnStarted, agent, turn=turn, cause=cause, prompt=prompt)

    def say(self, agent: str, turn: int, text: str, *, thought: bool = False) -> None:
        """Words of an agent, and the model call they cost."""
        self.call(agent)
        self.tell(ev.AgentSaid, agent, turn=turn, text=text, thought=thought)

    def call(self, agent: str, tokens: tuple[int, int] = (2130, 184), status: int = 200) -> None:
        """A model call."""
        self.tell(
            ev.ModelCalled,
            agent,
            provider="openai",
            model="gpt-5.1-codex",
            status=status,
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            seconds=0.6,
        )

    def command(
        self, agent: str, turn: int, command: str, output: str = "", exit_status: int | None = 0, pieces: int = 1
    ) -> None:
        """A command runs to its end, its output in ``pieces``."""
        call_id = self.begin_command(agent, turn, command)
        size = max(1, -(-len(output) // pieces))
        for start in range(0, len(output), size):
            self.output(agent, turn, call_id, output[start : start + size])
        status = "completed" if exit_status == 0 else "failed"
        self.tell(
            ev.ToolEnded,
            agent,
            turn=turn,
            call_id=call_id,
            command=command,
            status=status,
            exit_status=exit_status,
            output=output,
        )

    def begin_command(self, agent: str, turn: int, command: str) -> str:
        """A command starts; gives its id."""
        call_id = f"call-{len(self.told)}"
        self.tell(
            ev.ToolStarted, agent, turn=turn, call_id=call_id, title=command, tool_kind="execute", command=command
        )
        return call_id

    def output(self, agent: str, turn: int, call_id: str, text: str) -> None:
        """More output of a command."""
        self.tell(ev.ToolOutput, agent, turn=turn, call_id=call_id, text=text)

    def send(
        self,
        sender: str,
        recipient: str,
        subject: str,
        body: str,
        *states: MessageState,
        reason: str = "",
        sync: bool = False,
    ) -> str:
        """A message, and how far it comes."""
        message = f"m-{self.run[-1]}{len(self.told):04d}"
        envelope = Envelope(
            id=message,
            sender=sender,
            recipient=recipient,
            mode="sync" if sync else "async",
            subject=subject,
            body=body,
            correlation_id=message,
            sent_at=self.at,
        )
        self.tell(ev.MessageAccepted, sender, envelope=envelope)
        for state in states:
            self.move(message, state, reason)
        return message

    def reply(self, message: str, sender: str, body: str, *states: MessageState) -> str:
        """An answer in the thread of ``message``."""
        asked = next(e.envelope for e in self.told if isinstance(e, ev.MessageAccepted) and e.envelope.id == message)
        name = f"m-{self.run[-1]}{len(self.told):04d}"
        envelope = Envelope(
            id=name,
            sender=sender,
            recipient=asked.sender,
            kind="reply",
            subject=f"Re: {asked.subject}",
            body=body,
            reply_to=message,
            correlation_id=asked.correlation_id,
            sent_at=self.at,
        )
        self.tell(ev.MessageAccepted, sender, envelope=envelope)
        for state in states:
            self.move(name, state)
        return name

    def hold(self, sender: str, recipient: str, subject: str, body: str, reason: str) -> tuple[str, str]:
        """A message that waits for the user; gives its id and that of the interrupt about it."""
        name = f"m-{self.run[-1]}{len(self.told):04d}"
        envelope = Envelope(
            id=name,
            sender=sender,
            recipient=recipient,
            subject=subject,
            body=body,
            correlation_id=name,
            sent_at=self.at,
        )
        self.tell(ev.MessageAccepted, sender, envelope=envelope, state=MessageState.HELD, reason=reason)
        title = f"{sender} wants to write to {recipient}"
        options = ("Deliver once", "Always", "Refuse")
        return name, self.ask(sender, title, "", options, "", InterruptKind.APPROVAL, name, f"{sender} to {recipient}")

    def move(self, message: str, state: MessageState, reason: str = "") -> None:
        """A message changes state."""
        self.tell(ev.MessageMoved, message_id=message, state=state, reason=reason)

    def ask(
        self,
        agent: str,
        title: str,
        body: str = "",
        options: tuple[str, ...] = (),
        default: str = "",
        kind: InterruptKind = InterruptKind.USER_INPUT,
        message_id: str | None = None,
        group: str = "",
    ) -> str:
        """An interrupt; the agent works on when it only reports, or when a message of its is held."""
        name = f"i-{self.run[-1]}{len(self.told):04d}"
        blocking = kind is not InterruptKind.PROGRESS_REPORT and message_id is None
        interrupt = Interrupt(
            id=name,
            agent=agent,
            kind=kind,
            title=title,
            body=body,
            options=options,
            default=default,
            blocking=blocking,
            message_id=message_id,
            group=group,
            raised_at=self.at,
        )
        self.tell(ev.InterruptRaised, agent, interrupt=interrupt)
        return name

    def answered(self, interrupt: str, answer: Answer) -> None:
        """An interrupt has its answer."""
        self.tell(ev.InterruptSettled, interrupt_id=interrupt, state=InterruptState.ANSWERED, answer=answer)

    def note(self, agent: str, heading: str, text: str, revision: int = 1) -> None:
        """A note in an agent's memory."""
        self.tell(ev.MemoryWritten, agent, revision=revision, heading=heading, text=text, action="append")

    def end_turn(self, agent: str, turn: int, seconds: float = 12.4, files: int = 0) -> None:
        """A turn ends, and the workspace comes out."""
        if files:
            self.tell(ev.WorkspaceMirrored, agent, turn=turn, files=files, bytes=3212 * files)
        self.tell(
            ev.TurnEnded,
            agent,
            turn=turn,
            stop_reason="end_turn",
            input_tokens=6420,
            output_tokens=812,
            seconds=seconds,
        )
        self.state(agent, AgentStatus.IDLE, "waits for messages", turn)

    def end(self, outcome: str = "completed") -> None:
        """The run is over."""
        self.tell(ev.RunEnded, outcome=outcome)
