"""An agent that is a program speaking the Agent Client Protocol: one process and one session, alive between turns."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from acp.schema import HttpMcpServer, PromptResponse

from app.domain.errors import RuntimeFailure
from app.domain.ports import Brief, Sandbox, TurnObserver, TurnOutcome, TurnRequest
from app.runtimes.acp_program import CLOSE_TIMEOUT, AcpProgram
from app.runtimes.acp_turn import TurnEar
from app.runtimes.acp_updates import ToolCalls

RESUMED: Final = "[skerry] resumed:"
"""How the prompt begins that goes on with a turn which a crash had cut."""
GO_ON: Final = (
    f"{RESUMED} the host was restarted in the middle of your turn. What stands above is done. A command or a tool call"
    " that shows as aborted may or may not have had its effect: look before you do it again. Go on with your turn."
)
REFUSED: Final = "[skerry] refused: "
"""How the prompt begins that says what of a turn was refused, and why."""
UNDER_WAY: Final = " It had begun, also where nothing of it stands above:\n"
"""What comes before a line for each tool call that the crash cut: ``- id: what``."""
LOST: Final = (
    "[skerry] your conversation so far could not be loaded; you begin a new one. Your workspace and your memory are as"
    " you left them.\n\n"
)
CANCEL_TIMEOUT: Final = 5.0
"""Seconds that a program has to end a turn that is cancelled."""
QUIET_SECONDS: Final = 0.5
"""How long its commands may take to end after that."""
QUIESCE_TIMEOUT: Final = 120.0
"""Seconds that a resumed turn waits for the commands of the program before it."""

log = logging.getLogger(__name__)


class AcpRuntime:
    """Drives a program that speaks ACP on its standard streams. Subclasses write its files in ``prepare``.

    A turn is one ``session/prompt``. The program is started when a turn needs it, and again when it has ended, when
    the machine is another one, or when a turn is resumed; the session is then loaded. If the program has no session
    of that id, it begins a new one, is told so in the prompt, and the observer hears of the new session.
    """

    name: str = "the agent's program"

    def __init__(self, command: str, *, workspace: str = "/workspace", env: Mapping[str, str] | None = None) -> None:
        """``command`` is a shell command; paths are those inside the machine."""
        self._command = command
        self._workspace = workspace
        self._env = dict(env or {})
        self._brief: Brief | None = None
        self._program: AcpProgram | None = None
        self._session: str | None = None
        self._calls = ToolCalls()
        self._busy = False
        self._cancelled = False
        self._over = asyncio.Event()

    async def prepare(self, sandbox: Sandbox, brief: Brief) -> None:
        """Keep the brief; a program that runs already is not disturbed."""
        self._brief = brief

    async def run_turn(self, sandbox: Sandbox, turn: TurnRequest, observer: TurnObserver) -> TurnOutcome:
        """Give one prompt and wait for its end. Raises RuntimeFailure, or SandboxError when the channel fails."""
        if self._busy:
            raise RuntimeFailure("a turn is running already", operation="run a turn", hint="cancel it first")
        self._busy, self._cancelled = True, False
        self._over.clear()
        try:
            program, session, prompt = await self._open(sandbox, turn, observer)
            if self._cancelled:
                return TurnOutcome(session=session, stop_reason="cancelled")
            return await self._perform(program, session, prompt, observer)
        finally:
            self._busy = False
            self._over.set()

    async def cancel_turn(self) -> None:
        """Ask the running turn to stop, and end its commands; one that has not begun yet will not.

        A program may leave commands running that it no longer waits for (Codex does): then it is ended with them. The
        next turn starts it again and loads the conversation.
        """
        self._cancelled = True
        program = self._program
        if not self._busy or program is None or self._session is None:
            return
        await program.cancel(self._session)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), CANCEL_TIMEOUT)
        if not await program.sandbox.quiesce(QUIET_SECONDS) and self._program is program:
            self._program = self._session = None
            await program.end()

    async def close(self) -> None:
        """End the program. Safe to repeat."""
        program, self._program, self._session = self._program, None, None
        if program is not None:
            await program.close()

    # -- what a brand may say differently ----------------------------------------------------------------------
    def mcp_servers(self, brief: Brief) -> list[HttpMcpServer]:
        """The MCP servers a session is opened with."""
        return [HttpMcpServer(type="http", name="skerry", url=f"{brief.gateway_url}/mcp", headers=[])]

    def opening(self, brief: Brief, prompt: str) -> str:
        """The first prompt of a conversation."""
        return prompt

    async def session_begun(self, program: AcpProgram, session: str, brief: Brief) -> None:
        """Called once for a new session, before its first prompt."""

    async def session_loaded(self, program: AcpProgram, session: str, brief: Brief) -> None:
        """Called for a session that a new program has loaded."""

    def notice(self, update: Any) -> str | None:
        """What the program says of itself in an update (warnings, failures); None when it is the agent's."""
        return None

    def failure_in(self, notice: str) -> str:
        """The reason when a turn that ended with this notice has failed, else empty."""
        return ""

    # -- a turn ------------------------------------------------------------------------------------------------
    async def _open(self, sandbox: Sandbox, turn: TurnRequest, observer: TurnObserver) -> tuple[AcpProgram, str, str]:
        brief, prompt = self._briefed(), _plain(turn.prompt)
        program = await self._running(sandbox, turn)
        if self._session is not None:
            return program, self._session, prompt
        if turn.session is not None:
            told = await program.load_session(turn.session, self._workspace, self.mcp_servers(brief))
            if told is not None:
                await self.session_loaded(program, turn.session, brief)
                self._session = turn.session
                return program, turn.session, _go_on(turn) if turn.resume and _has_arrived(prompt, told) else prompt
            log.warning("%s has no session %s; it begins a new one", brief.agent, turn.session)
            prompt = LOST + prompt
        prompt = self.opening(brief, prompt)
        session = await program.new_session(self._workspace, self.mcp_servers(brief))
        await self.session_begun(program, session, brief)
        await observer.session_opened(session)
        self._session = session
        return program, session, prompt

    async def _running(self, sandbox: Sandbox, turn: TurnRequest) -> AcpProgram:
        """The program, with our session in it when it was running already."""
        program = self._program
        if program is not None and program.alive and program.sandbox is sandbox and not turn.resume:
            return program
        await self.close()
        if turn.session is not None and not await sandbox.quiesce(QUIESCE_TIMEOUT):
            log.warning("%s: commands of an earlier try are still running", sandbox.name)
        self._calls = ToolCalls()
        self._program = await AcpProgram.start(sandbox, self.name, self._command, cwd=self._workspace, env=self._env)
        return self._program

    async def _perform(self, program: AcpProgram, session: str, prompt: str, observer: TurnObserver) -> TurnOutcome:
        ear = program.ear = TurnEar(observer, self._calls, self.notice)
        prompting = asyncio.create_task(program.prompt(session, prompt))
        listening = asyncio.create_task(ear.failed())
        try:
            outcome = TurnOutcome(session=session, stop_reason="")
            while True:
                await asyncio.wait({prompting, listening}, return_when=asyncio.FIRST_COMPLETED)
                if listening.done():
                    await self._stop(program, session, prompting)
                    listening.result()
                response = prompting.result()
                await ear.drained()
                outcome = _added(outcome, _outcome(session, response))
                told = ear.take_told()
                if not told or self._cancelled:
                    break
                # Its words of a refusal say not why: it is told when its turn is over. That is the same turn to us.
                prompting = asyncio.create_task(program.prompt(session, REFUSED + told))
        finally:
            # A turn that is left half-way makes the program unfit for the next one: it must be started again.
            program.alive = program.alive and prompting.done()
            prompting.cancel()
            listening.cancel()
            program.ear = None
            await ear.close()
        reason = self.failure_in(ear.last_notice) if response.stop_reason != "cancelled" else ""
        if reason:
            raise RuntimeFailure(f"{self.name} could not finish its turn: {reason}", operation="run a turn")
        return outcome

    async def _stop(self, program: AcpProgram, session: str, prompting: asyncio.Task[PromptResponse]) -> None:
        if not prompting.done():
            await program.cancel(session)
            await asyncio.wait({prompting}, timeout=CLOSE_TIMEOUT)

    def _briefed(self) -> Brief:
        if self._brief is None:
            raise RuntimeFailure("the agent was not prepared", operation="run a turn", hint="call prepare first")
        return self._brief


def _plain(prompt: str) -> str:
    """The prompt, kept from being read as one of the program's own commands."""
    return f"Your prompt:\n{prompt}" if prompt.lstrip().startswith(("/", "$")) else prompt


def _go_on(turn: TurnRequest) -> str:
    calls = "\n".join(f"- {call_id}: {what}" for call_id, what in turn.under_way)
    return f"{GO_ON}{UNDER_WAY}{calls}" if calls else GO_ON


def _has_arrived(prompt: str, told: list[str]) -> bool:
    """Whether the newest prompt of a session is this one, whatever was said to take it up again."""
    own = [text for text in told if not text.startswith((RESUMED, REFUSED, "<turn_aborted>"))]
    # What a conversation is opened with, and that another was lost, stand before it.
    return bool(own) and own[-1].strip().endswith(prompt.strip())


def _added(before: TurnOutcome, last: TurnOutcome) -> TurnOutcome:
    return replace(
        last,
        input_tokens=before.input_tokens + last.input_tokens,
        output_tokens=before.output_tokens + last.output_tokens,
    )


def _outcome(session: str, response: PromptResponse) -> TurnOutcome:
    usage = response.usage
    if usage is None:
        return TurnOutcome(session=session, stop_reason=response.stop_reason)
    read = usage.input_tokens + (usage.cached_read_tokens or 0) + (usage.cached_write_tokens or 0)
    return TurnOutcome(
        session=session, stop_reason=response.stop_reason, input_tokens=read, output_tokens=usage.output_tokens
    )
