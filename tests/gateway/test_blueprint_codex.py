"""The blueprint's rehearsal with three real Codex programs on this host, each behind its own door."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.domain.ports import Brief, TurnRequest
from app.gateway.door import DoorSpec, ModelUsage, Rehearsal
from app.gateway.server import Gateway
from app.runtimes.codex import CodexRuntime
from tests.gateway.harness import Office, deliver_all
from tests.gateway.test_blueprint_story import SCENARIO, TEAM, check_end
from tests.runtimes.conftest import Heard, codex_pack
from tests.runtimes.host import HostSandbox

pytestmark = [pytest.mark.codex, pytest.mark.slow]
__all__ = ["codex_pack"]


@contextlib.asynccontextmanager
async def port_to(socket: Path) -> AsyncIterator[int]:
    """A loopback port that leads to a door, as the channel of a machine does."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(str(socket))
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    server = await asyncio.start_server(lead, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@dataclass
class Player:
    """A real Codex as one agent of the team."""

    agent: str
    runtime: CodexRuntime
    sandbox: HostSandbox
    heard: Heard = field(default_factory=Heard)
    session: str | None = None
    turns: int = 0

    async def turn(self, prompt: str) -> None:
        self.turns += 1
        order = TurnRequest(turn=self.turns, prompt=prompt, session=self.session, resume=False)
        outcome = await self.runtime.run_turn(self.sandbox, order, self.heard)
        assert outcome.stop_reason == "end_turn"
        self.session = outcome.session

    @property
    def commands(self) -> list[tuple[str, int | None]]:
        reports = (report for report in self.heard.tools.values() if report.command)
        return [(report.command, report.exit_status) for report in reports]


async def test_three_real_codex_tell_the_story(tmp_path: Path, sockets: Path, codex_pack: Path) -> None:
    office, metered = Office(), list[ModelUsage]()
    gateway = Gateway(office.handle, metered.append)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.stop)
        team: dict[str, Player] = {}
        for agent in TEAM:
            spec = DoorSpec(agent, "f", "r1", agent, sockets / f"{agent}.s", Rehearsal(SCENARIO))
            await gateway.open_door(spec)
            port = await stack.enter_async_context(port_to(spec.socket))
            sandbox = HostSandbox(tmp_path / agent, agent)
            stack.push_async_callback(sandbox.close)
            runtime = CodexRuntime(home=str(sandbox.home), workspace=str(sandbox.workspace), pack=str(codex_pack))
            stack.push_async_callback(runtime.close)
            url = f"http://127.0.0.1:{port}"
            await runtime.prepare(sandbox, Brief(agent, None, "rehearsal", f"# You are {agent}\n", url))
            team[agent] = Player(agent, runtime, sandbox)
        await asyncio.gather(*(player.turn("Begin.") for player in team.values()))
        await deliver_all(team, office)
    check_end({agent: team[agent].sandbox.workspace for agent in TEAM}, office)
    assert {agent: team[agent].turns for agent in TEAM} == dict(zip(TEAM, (3, 5, 3), strict=True))
    assert [status for _, status in team["test-agent"].commands] == [1, 0]
    assert {use.agent for use in metered} == set(TEAM)
    assert {use.model for use in metered} == {"rehearsal"}
