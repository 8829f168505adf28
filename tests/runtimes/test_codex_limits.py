"""A real Codex at a closed gate: it ends its turn at once, asks no more, and goes on with it when the gate is open."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.domain.errors import RuntimeFailure
from app.domain.ports import Brief, TurnRequest
from app.gateway.door import DoorSpec, ModelUsage, Rehearsal
from app.gateway.server import Gateway
from app.runtimes.codex import CodexRuntime
from tests.gateway.conftest import Calls, sockets
from tests.gateway.test_blueprint_codex import port_to
from tests.runtimes.conftest import Heard, codex_pack
from tests.runtimes.host import HostSandbox

pytestmark = [pytest.mark.codex, pytest.mark.slow]
__all__ = ["codex_pack", "sockets"]

SCENARIO = """
title: Counting
think_seconds: 0
agents:
  alice:
    steps:
      - {id: first, say: I count., run: "echo one >> counted"}
      - {id: second, run: "echo two >> counted"}
      - {id: rest, say: That was all.}
"""


async def test_the_turn_ends_and_goes_on(tmp_path: Path, sockets: Path, codex_pack: Path) -> None:
    calls, heard, metered, closed = Calls(), Heard(), list[ModelUsage](), list[float]()
    open_for = 1  # request

    def gate(key: str) -> str:
        if len(metered) < open_for:
            return ""
        closed.append(time.monotonic())
        return "limit: 2,001 of 2,000 tokens used"

    scenario = tmp_path / "counting.yaml"
    scenario.write_text(SCENARIO)
    gateway = Gateway(calls, metered.append, gate=gate)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.stop)
        spec = DoorSpec("alice", "f", "r1", "alice", sockets / "a.s", Rehearsal(scenario))
        await gateway.open_door(spec)
        port = await stack.enter_async_context(port_to(spec.socket))
        sandbox = HostSandbox(tmp_path / "alice", "alice")
        stack.push_async_callback(sandbox.close)
        runtime = CodexRuntime(home=str(sandbox.home), workspace=str(sandbox.workspace), pack=str(codex_pack))
        stack.push_async_callback(runtime.close)
        await runtime.prepare(
            sandbox, Brief("alice", None, "rehearsal", "# You are alice\n", f"http://127.0.0.1:{port}")
        )
        with pytest.raises(RuntimeFailure, match="2,001 of 2,000 tokens used"):
            await runtime.run_turn(sandbox, TurnRequest(1, "Begin.", None, resume=False), heard)
        assert len(closed) == 1, "a 400 is not tried again"
        counted = sandbox.workspace / "counted"
        assert counted.read_text() == "one\n"

        open_for = 100
        (session,) = {event for event in heard.events if isinstance(event, str)}
        again = TurnRequest(1, "Begin.", session, resume=True)
        outcome = await runtime.run_turn(sandbox, again, heard)
        assert outcome.stop_reason == "end_turn"
        assert counted.read_text() == "one\ntwo\n", "nothing twice"
