"""Carries out the calls of a model that we ask ourselves: those of the machine here, all others through the door."""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from app.activities.crew import Crew
from app.activities.member import Member
from app.activities.observer import FLUSH_SECONDS, TurnRecorder
from app.domain import loop_actions as la
from app.domain.errors import ActionRefused, SandboxError, SandboxLost
from app.domain.loops import INTERRUPTED, LoopCall, LoopOutcome, command_text, read_arguments
from app.domain.ports import PermissionAsked, Sandbox, Stream, ToolActivity
from app.store.transcripts import Thread, Transcripts

MAX_TOLD: Final = 30_000
"""Characters of one result that the model is told; of longer ones the begin and the end."""
MAX_FILE: Final = 1_048_576
"""Bytes of a file that can be read or edited with a tool."""
_OPTIONS: Final = (("allow", "Allow", "allow_once"), ("deny", "Deny", "reject_once"))
_KINDS: Final = {"run_command": "execute", "read_file": "read", "write_file": "edit", "edit_file": "edit"}
_AGAIN: Final = (la.ReadFile, la.WriteFile)
"""What a second time does no harm."""
_WHY_CUT: Final = "the host was restarted while this ran. It may have had its effect: look before you do it again."


class LoopHands:
    """The calls of one reply; ``place`` is (turn, number of the reply)."""

    def __init__(
        self,
        crew: Crew,
        member: Member,
        recorder: TurnRecorder,
        transcripts: Transcripts,
        thread: Thread,
        place: tuple[int, int],
        is_cut: Callable[[], bool],
    ) -> None:
        """``is_cut`` says, when the call is cancelled, whether somebody wanted that."""
        self._crew = crew
        self._member = member
        self._recorder = recorder
        self._transcripts = transcripts
        self._thread = thread
        self._turn, self._step = place
        self._is_cut = is_cut

    async def carry_out(self, call: LoopCall, *, too_many: bool = False) -> LoopOutcome:
        """What came of a call, kept in the transcript and on record. Raises SandboxError when the machine is lost."""
        known = self._transcripts.find_outcome(self._thread, self._turn, self._step, call.id)
        activity = _activity(call)
        if known is None:
            await self._recorder.tool(activity)
            try:
                made = await self._made(call, activity) if not too_many else _wrong(call, "too many calls at once")
            except asyncio.CancelledError:
                if self._is_cut():
                    words = "[skerry] was cancelled; it may have had part of its effect"
                    await self._end(call, activity, LoopOutcome(id=call.id, name=call.name, text=words, ok=False))
                raise
            known = made
        return await self._end(call, activity, known)

    async def _end(self, call: LoopCall, activity: ToolActivity, outcome: LoopOutcome) -> LoopOutcome:
        known = self._transcripts.outcome(self._thread, self._turn, self._step, outcome)
        status = "completed" if known.ok else "failed"
        ended = ToolActivity(
            call_id=call.id,
            title=activity.title,
            kind=activity.kind,
            status=status,
            command=activity.command,
            output=_shown(known),
            exit_status=known.exit_status,
        )
        await self._recorder.tool(ended)
        return known

    async def _made(self, call: LoopCall, activity: ToolActivity) -> LoopOutcome:
        arguments = read_arguments(call)
        if arguments is None:
            return _wrong(call, f"the arguments are no JSON object: {call.arguments[:500]}")
        if not la.is_known(call.name):
            names = ", ".join(tool.name for tool in la.loop_tools())
            return _wrong(call, f"there is no tool {call.name[:100]!r}; the tools: {names}")
        try:
            action = la.parse_loop_action(call.name, arguments)
        except ActionRefused as error:
            return _wrong(call, str(error))
        if action is None:
            with self._member.underway.at_work():
                result = await self._crew.use_tool(self._member, call.name, arguments, call.id)
            return LoopOutcome(id=call.id, name=call.name, text=result.text, ok=result.ok)
        return await self._in_machine(call, action, activity)

    async def _in_machine(self, call: LoopCall, action: la.LoopAction, activity: ToolActivity) -> LoopOutcome:
        asked = PermissionAsked(
            call_id=call.id,
            title=activity.title,
            command=la.as_command(action),
            options=_OPTIONS,
            folder=la.in_machine(action.folder) if isinstance(action, la.RunCommand) else la.WORKSPACE,
            kind=activity.kind,
            paths=() if isinstance(action, la.RunCommand) else (la.in_machine(action.path),),
        )
        given = await self._recorder.permission(asked)
        if given.option != "allow":
            words = given.told or "this was not carried out: nobody gave leave"
            return LoopOutcome(id=call.id, name=call.name, text=f"[skerry] refused: {words}", ok=False)
        first = self._transcripts.begin(self._thread, self._turn, self._step, call.id)
        if not first and not isinstance(action, _AGAIN):
            return LoopOutcome(id=call.id, name=call.name, text=f"{INTERRUPTED} {_WHY_CUT}", ok=False)
        sandbox = self._member.sandbox
        if sandbox is None:
            raise SandboxError("the agent has no machine", operation=call.name)
        with self._member.underway.at_work():
            if isinstance(action, la.RunCommand):
                return await self._run(call, action, sandbox, activity)
            return await self._file(call, action, sandbox)

    async def _run(
        self, call: LoopCall, action: la.RunCommand, sandbox: Sandbox, activity: ToolActivity
    ) -> LoopOutcome:
        limits = self._member.spec.limits
        timeout = min(limits.command, float(action.timeout_seconds or limits.command))
        async with _shown_as_it_comes(self._recorder, activity) as heard:
            result = await sandbox.run(
                action.command,
                timeout=timeout,
                cwd=la.in_machine(action.folder),
                on_output=heard,
                output_limit=int(limits.output),
            )
        text = result.output.decode("utf-8", "replace")
        if result.dropped:
            text += f"\n[{result.dropped} more bytes were not kept]"
        if result.timed_out:
            text += f"\n[ended after {timeout:.0f} s: that is how long a command may take]"
        told = command_text(_cut(text), result.exit_status)
        ok = result.exit_status == 0
        return LoopOutcome(id=call.id, name=call.name, text=told, ok=ok, exit_status=result.exit_status)

    async def _file(
        self, call: LoopCall, action: la.ReadFile | la.WriteFile | la.EditFile, sandbox: Sandbox
    ) -> LoopOutcome:
        path = la.in_machine(action.path)
        try:
            if isinstance(action, la.WriteFile):
                await sandbox.write_file(path, action.content.encode("utf-8", "replace"))
                told = f"Written: {path}"
            elif isinstance(action, la.ReadFile):
                told = _numbered(await _text(sandbox, path), action)
            else:
                whole = _edited(await _text(sandbox, path), action)
                await sandbox.write_file(path, whole.encode("utf-8", "replace"))
                told = f"Edited: {path}"
        except ActionRefused as error:
            return LoopOutcome(id=call.id, name=call.name, text=str(error), ok=False)
        except SandboxLost:
            raise
        except SandboxError as error:
            return LoopOutcome(id=call.id, name=call.name, text=error.message, ok=False)
        return LoopOutcome(id=call.id, name=call.name, text=told)


def _activity(call: LoopCall) -> ToolActivity:
    """A call as a window shows it, in the words the programs use."""
    arguments = read_arguments(call) or {}
    kind = _KINDS.get(call.name, "other")
    command = arguments.get("command")
    if call.name == "run_command" and isinstance(command, str):
        return ToolActivity(call.id, command.strip().split("\n")[0], kind, "in_progress", command)
    if kind != "other":
        return ToolActivity(call.id, f"{call.name} {arguments.get('path', '')}".strip(), kind, "in_progress")
    text = json.dumps(arguments, ensure_ascii=False)
    return ToolActivity(
        call.id, f"skerry: {call.name} {text if len(text) <= 200 else text[:199] + '…'}", kind, "in_progress"
    )


def _wrong(call: LoopCall, words: str) -> LoopOutcome:
    return LoopOutcome(id=call.id, name=call.name, text=f"[skerry] not carried out: {words}", ok=False, bad=True)


def _shown(outcome: LoopOutcome) -> str:
    """The output without the lines that only the model needs."""
    return outcome.text.partition("\nOutput:\n")[2] if outcome.exit_status is not None else outcome.text


def _cut(text: str) -> str:
    if len(text) <= MAX_TOLD:
        return text
    half = MAX_TOLD // 2
    left_out = len(text) - 2 * half
    note = f"[… {left_out} characters left out; write long output into a file and look at parts of it …]"
    return f"{text[:half]}\n{note}\n{text[-half:]}"


async def _text(sandbox: Sandbox, path: str) -> str:
    data = await sandbox.read_file(path, limit=MAX_FILE)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ActionRefused(f"{path} is no UTF-8 text", operation="read file", hint="use run_command") from None


def _numbered(text: str, action: la.ReadFile) -> str:
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    begin = action.start_line - 1
    if begin and begin >= len(lines):
        raise ActionRefused(f"there are {len(lines)} lines", operation="read_file", hint="take a lower start_line")
    shown = lines[begin : begin + action.lines]
    told = "\n".join(f"{number:>6}  {line}" for number, line in enumerate(shown, start=begin + 1))
    rest = len(lines) - begin - len(shown)
    more = f"\n[{rest} more lines: go on with start_line={begin + len(shown) + 1}]" if rest > 0 else ""
    return _cut(told) + more if told else "(The file is empty.)"


def _edited(text: str, action: la.EditFile) -> str:
    count = text.count(action.old)
    if count == 0:
        raise ActionRefused("the old text does not stand in the file", operation="edit_file", hint="read it again")
    if count > 1 and not action.everywhere:
        hint = "give more of the lines around it, or say everywhere"
        raise ActionRefused(f"the old text stands there {count} times", operation="edit_file", hint=hint)
    return text.replace(action.old, action.new)


class _Heard:
    """Output as it comes, as text."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.text = ""

    def __call__(self, stream: Stream, data: bytes) -> None:
        self.text += self._decoder.decode(data)


@asynccontextmanager
async def _shown_as_it_comes(recorder: TurnRecorder, activity: ToolActivity) -> AsyncIterator[_Heard]:
    """Within: what a command prints is put on record from time to time."""
    heard = _Heard()

    async def tell() -> None:
        told = 0
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if len(heard.text) > told:
                told = len(heard.text)
                shown = ToolActivity(
                    activity.call_id, activity.title, activity.kind, "in_progress", activity.command, heard.text
                )
                await recorder.tool(shown)

    task = asyncio.create_task(tell())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.wait([task])
