"""An engine process on real parts but machines and models: agents are a script that calls its tools over MCP.

Each turn writes a line into the journal of its own doing (a file), so that a test can see what ran twice.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx

from app.activities.member import member_key
from app.config import Paths
from app.domain.machines import MachineState, Notify, SandboxRequest, unheard
from app.domain.ports import Progress, Said, Sandbox, TurnObserver, TurnOutcome, TurnRequest
from app.engine.supervisor import Engine, run_until_signalled
from app.testing import FakeSandboxHost, ScriptedRuntime

HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


class Agents:
    """Alice counts to three with pauses, tells bob, asks the user, and finishes when she has the answer."""

    def __init__(self, paths: Paths, fleet: str, diary: Path) -> None:
        self._paths = paths
        self._fleet = fleet
        self._diary = diary

    async def play(self, agent: str, turn: TurnRequest, observer: TurnObserver) -> TurnOutcome:
        """One turn; what an earlier try of it did is in the diary, as a model finds it in its conversation."""
        await observer.said(Said(f"Turn {turn.turn}."))
        if agent == "alice" and turn.turn == 1:
            for number in range(3):
                self._do_once(f"count {number}")
                await asyncio.sleep(0.7)
            await self._call(agent, "send_message", recipient="bob", subject="Counted", body="Three.")
            await self._call(agent, "ask_user", question="Go on?", options=["yes", "no"])
        elif agent == "alice" or "Three." in turn.prompt:
            await self._call(agent, "memory_append", text=f"{agent} is done.")
            await self._call(agent, "finish", summary=f"{agent} is done.")
        return TurnOutcome(session=f"s-{agent}", stop_reason="end_turn")

    def _do_once(self, what: str) -> None:
        done = self._diary.read_text().splitlines() if self._diary.exists() else []
        if what not in done:
            with self._diary.open("a") as file:
                file.write(f"{what}\n")

    async def _call(self, agent: str, tool: str, **arguments: object) -> None:
        door = self._paths.door(member_key(self._fleet, agent))
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(door)), timeout=30) as client:
            answer = await client.post("http://127.0.0.1:8080/mcp", json=request, headers=HEADERS)
        answer.raise_for_status()
        result = answer.json()["result"]
        assert not result.get("isError"), result


class KeptDisks(FakeSandboxHost):
    """Its machines end with the engine, their disks do not."""

    def __init__(self, disks: Path) -> None:
        super().__init__()
        self._disks = disks

    async def state(self, name: str) -> MachineState:
        """A machine this engine has not seen is off when it has a disk."""
        found = await super().state(name)
        return "stopped" if found == "absent" and (self._disks / name).exists() else found

    async def ensure(self, request: SandboxRequest, progress: Progress, notify: Notify = unheard) -> Sandbox:
        """With a disk that stays."""
        self._disks.mkdir(exist_ok=True)
        (self._disks / request.name).touch()
        return await super().ensure(request, progress, notify)

    async def destroy(self, name: str) -> None:
        """The disk, too."""
        (self._disks / name).unlink(missing_ok=True)
        await super().destroy(name)


async def main(fleet: str, diary: Path) -> None:
    paths = Paths.from_environment()
    agents = Agents(paths, fleet, diary)
    engine = Engine(
        paths,
        make_host=lambda paths: KeptDisks(diary.with_name("disks")),
        make_runtime=lambda kind: ScriptedRuntime(agents.play),
    )
    await run_until_signalled(engine)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
