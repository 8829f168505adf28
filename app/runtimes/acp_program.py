"""One running ACP program in a machine: its process, its connection, and what went wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar, cast

import acp
from acp.schema import (
    AllowedOutcome,
    CancelElicitationResponse,
    ClientCapabilities,
    DeniedOutcome,
    ElicitationCapabilities,
    ElicitationFormCapabilities,
    ElicitationMode,
    HttpMcpServer,
    Implementation,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    RequestPermissionResponse,
    ToolCallUpdate,
    UserMessageChunk,
)

from app import __version__
from app.domain.errors import RuntimeFailure, SandboxError
from app.domain.ports import GuestProcess, PermissionAsked, Sandbox
from app.runtimes.acp_forms import Response, form_of, response_to
from app.runtimes.acp_turn import TurnEar
from app.runtimes.acp_updates import command_of, folder_of, paths_in

INITIALIZE_TIMEOUT: Final = 180.0
SESSION_TIMEOUT: Final = 240.0
"""Seconds; without KVM and with a cold page cache, a first start takes most of a minute."""
CLOSE_TIMEOUT: Final = 10.0
STDERR_LINES: Final = 6
_CAPABILITIES: Final = ClientCapabilities(
    elicitation=ElicitationCapabilities(form=ElicitationFormCapabilities()),
    # The adapters then report commands with their exit status, and without the fences of a document around the output.
    field_meta={"terminal_output": True, "terminal_output_delta": True},
)

T = TypeVar("T")
log = logging.getLogger(__name__)


class AcpProgram:
    """A started and initialised program. One session is used at a time."""

    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self.sandbox = sandbox
        self.alive = True
        self.ear: TurnEar | None = None
        """Who hears the updates; without one they are dropped."""
        self._name = name
        self._replay: list[UserMessageChunk] | None = None
        self._stderr = _Tail(STDERR_LINES)
        self._process: GuestProcess | None = None
        self._connection: acp.ClientSideConnection | None = None

    @classmethod
    async def start(cls, sandbox: Sandbox, name: str, command: str, *, cwd: str, env: Mapping[str, str]) -> AcpProgram:
        """Start ``command`` and shake hands. Raises RuntimeFailure, or SandboxError when the channel fails."""
        program = cls(sandbox, name)
        try:
            await program._open(command, cwd, env)
        except BaseException:
            await program.close()
            raise
        return program

    async def _open(self, command: str, cwd: str, env: Mapping[str, str]) -> None:
        process = await self.sandbox.open_process(command, cwd=cwd, env=env, on_stderr=self._stderr.feed)
        self._process = process
        self._connection = acp.connect_to_agent(
            cast(acp.Client, _Client(self)), process.stdin, process.stdout, use_unstable_protocol=True
        )
        asking = self._connection.initialize(
            protocol_version=acp.PROTOCOL_VERSION,
            client_capabilities=_CAPABILITIES,
            client_info=Implementation(name="skerry", version=__version__),
        )
        answer = await self._ask("to initialise", asking, INITIALIZE_TIMEOUT)
        if answer.protocol_version != acp.PROTOCOL_VERSION:
            raise RuntimeFailure(
                f"{self._name} speaks version {answer.protocol_version} of the Agent Client Protocol",
                operation="initialise",
                hint=f"use a tool pack whose adapter speaks version {acp.PROTOCOL_VERSION}",
            )

    async def new_session(self, cwd: str, servers: list[HttpMcpServer]) -> str:
        """Open a session; gives its id."""
        asking = self._wire.new_session(cwd=cwd, mcp_servers=[*servers])
        answer: NewSessionResponse = await self._ask("to open a session", asking, SESSION_TIMEOUT)
        return answer.session_id

    async def load_session(self, session: str, cwd: str, servers: list[HttpMcpServer]) -> list[str] | None:
        """Load a session; gives the user's messages in it, oldest first, or None when the program does not know it."""
        self._replay = []
        try:
            asking = self._wire.load_session(cwd=cwd, session_id=session, mcp_servers=[*servers])
            await self._ask("to load the session", asking, SESSION_TIMEOUT)
            return _joined(self._replay)
        except RuntimeFailure as failure:
            if isinstance(failure.__cause__, acp.RequestError) and _unknown_session(failure.__cause__):
                return None
            raise
        finally:
            self._replay = None

    async def prompt(self, session: str, text: str) -> PromptResponse:
        """Give a prompt and wait, as long as it takes, for the end of the turn."""
        asking = self._wire.prompt(session_id=session, prompt=[acp.text_block(text)])
        return await self._ask("for a turn", asking, None)

    async def cancel(self, session: str) -> None:
        """Ask the running turn to stop."""
        await self._ask("to cancel", self._wire.cancel(session_id=session), CLOSE_TIMEOUT)

    async def close(self) -> None:
        """End the program: by the end of its input, else by force. Safe to repeat."""
        self.alive = False
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if process is not None:
            with contextlib.suppress(Exception):
                process.stdin.close()
                await asyncio.wait_for(process.wait(), CLOSE_TIMEOUT)
        if connection is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(connection.close(), CLOSE_TIMEOUT)
        if process is not None:
            try:
                await process.terminate()
            except Exception:  # a program whose channel is gone is out of our hands
                log.debug("could not terminate %s in %s", self._name, self.sandbox.name, exc_info=True)

    async def end(self) -> None:
        """End the program by force, with all that it started."""
        process, self._process = self._process, None
        if process is not None:
            await process.terminate()
        await self.close()

    def heard(self, update: Any) -> None:
        """Take in a session update, on the connection's side."""
        if self._replay is not None:
            if isinstance(update, UserMessageChunk):
                self._replay.append(update)
        elif self.ear is not None:
            self.ear.put(update)

    def stderr_tail(self) -> str:
        """The last lines the program wrote to its error stream."""
        return self._stderr.text()

    @property
    def _wire(self) -> acp.ClientSideConnection:
        if self._connection is None:
            raise RuntimeFailure(f"{self._name} has ended", operation="ask the agent's program")
        return self._connection

    async def _ask(self, what: str, asking: Awaitable[T], timeout: float | None) -> T:
        try:
            async with asyncio.timeout(timeout):
                return await asking
        except acp.RequestError as error:
            raise self._failure(f"{self._name} refused {what}: {_reason(error)}") from error
        except TimeoutError as error:
            self.alive = False
            raise self._failure(f"{self._name} did not answer {what} within {timeout:.0f} s") from error
        except OSError as error:
            self.alive = False
            raise await self._ended(what) from error
        except BaseException:
            self.alive = False
            raise

    async def _ended(self, what: str) -> RuntimeFailure | SandboxError:
        """Why the connection closed: the program ended, or the channel to its machine went."""
        try:
            status = await asyncio.wait_for(self._process.wait(), CLOSE_TIMEOUT) if self._process else None
        except TimeoutError:
            return self._failure(f"{self._name} closed its output when it was asked {what}")
        if status is None:
            return SandboxError(
                f"the channel to {self.sandbox.name} was lost while {self._name} was asked {what}",
                operation="talk to the agent's program",
                hint="the machine is looked for again at the next try",
            )
        return self._failure(f"{self._name} ended with status {status} when it was asked {what}")

    def _failure(self, message: str) -> RuntimeFailure:
        tail = self._stderr.text()
        hint = f"its last words: {tail}" if tail else "it left no word of why; look at the agent's console"
        return RuntimeFailure(message, operation="talk to the agent's program", hint=hint)


class _Client:
    """Our side of the protocol: what the program may ask of us."""

    def __init__(self, program: AcpProgram) -> None:
        self._program = program

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self._program.heard(update)

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        ear = self._program.ear
        asked = PermissionAsked(
            call_id=tool_call.tool_call_id,
            title=tool_call.title or "",
            command=command_of(tool_call.raw_input),
            options=tuple((option.option_id, option.name, option.kind) for option in options),
            folder=folder_of(tool_call.raw_input),
            kind=tool_call.kind or "",
            paths=paths_in(tool_call),
        )
        chosen = (await ear.permission(asked)).option if ear is not None else None
        if chosen is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=chosen))

    async def create_elicitation(self, message: str, mode: ElicitationMode, **_: Any) -> Response:
        ear, form = self._program.ear, form_of(message, mode)
        if ear is None or form is None:
            return CancelElicitationResponse(action="cancel")
        return response_to(await ear.form(form))

    async def complete_elicitation(self, elicitation_id: str, **_: Any) -> None:
        """Only of forms in a browser, which we do not offer."""

    async def ext_method(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        raise acp.RequestError.method_not_found(method)

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        log.debug("the agent's program tells %s: %s", method, params)


class _Tail:
    """The last lines of a stream of bytes."""

    def __init__(self, lines: int) -> None:
        self._lines: deque[str] = deque(maxlen=lines)
        self._partial = b""

    def feed(self, data: bytes) -> None:
        *whole, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[-4096:]
        for line in whole:
            log.debug("stderr of the agent's program: %s", line.decode(errors="replace"))
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()[:300]
        # a stack trace says less than the line above it
        if text and not text.startswith("at ") and text not in self._lines:
            self._lines.append(text)

    def text(self) -> str:
        last = self._partial.decode(errors="replace").strip()
        return " / ".join([*self._lines, *([last] if last else [])])


def _reason(error: acp.RequestError) -> str:
    data = error.data if isinstance(error.data, Mapping) else {}
    details = data.get("details") or data.get("message")
    return f"{error}: {details}" if details and str(details) not in str(error) else str(error)


def _unknown_session(error: acp.RequestError) -> bool:
    reason = _reason(error).lower()
    words = ("no rollout found", "invalid session id", "session not found", "no conversation found")
    return error.code == -32002 or any(phrase in reason for phrase in words)


def _joined(chunks: list[UserMessageChunk]) -> list[str]:
    """The texts of messages that may have come in several chunks."""
    messages: list[tuple[str | None, str]] = []
    for chunk in chunks:
        text = getattr(chunk.content, "text", "")
        if messages and chunk.message_id is not None and messages[-1][0] == chunk.message_id:
            messages[-1] = (chunk.message_id, messages[-1][1] + text)
        else:
            messages.append((chunk.message_id, text))
    return [text for _, text in messages]
