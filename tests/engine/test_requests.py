"""What the user hears when the engine gives no answer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.client import Client

from app.control.requests import Requests
from app.workflows.steps import agent_workflow_id


async def test_who_stops_waiting_for_an_answer_is_let_go(temporal: Client) -> None:
    """Nobody works on that queue: as when the engine was killed. Temporal's client makes an error of its own of it."""
    await temporal.start_workflow("Agent", id=agent_workflow_id("f", "alice"), task_queue="nobody-is-there")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await Requests(temporal).update("f", "alice", "resume")


_SERVER_GOES = """
import asyncio, os, sys
from pathlib import Path
from app.control.requests import connect
from app.engine.instance import EngineInfo
from app.engine.temporal_server import TemporalServer, temporal_binary

async def main(home):
    server = TemporalServer(binary=temporal_binary(), database=home / "t.db", log_file=home / "log")
    temporal = (await server.start()).service_client.config.target_host
    client = await connect(EngineInfo(0, "test", temporal, "", ""))
    await server.stop()
    try:
        await client.get_workflow_handle("nobody").signal("hear")
    except Exception as error:
        print(type(error).__name__, flush=True)
    os._exit(0)  # as the command line does: Temporal's core may crash an interpreter that finalizes

asyncio.run(main(Path(sys.argv[1])))
"""


def test_the_standard_output_is_ours_while_the_server_is_away(tmp_path: Path) -> None:
    """Programs read it: Temporal's client has a log of its own and writes it there by default."""
    command = [sys.executable, "-c", _SERVER_GOES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "RPCError\n"), done.stderr
