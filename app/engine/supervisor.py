"""The engine put together by hand, started in order and stopped in the opposite one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from temporalio.client import Client

from app import __version__
from app.activities.agent_steps import AgentSteps
from app.activities.crew import Crew
from app.activities.mail_room import MailRoom
from app.activities.member import Roster
from app.activities.tool_calls import ToolCalls
from app.activities.warden import Warden
from app.activities.watch import Watch, watching
from app.config import Paths
from app.config.prices import load_prices
from app.domain import events as ev
from app.domain.fleet import AgentSpec
from app.domain.ports import AgentRuntime, SandboxHost
from app.engine.approving import approving
from app.engine.expiry import expiring
from app.engine.indexing import indexing
from app.engine.instance import EngineInfo, InstanceLock, write_ready
from app.engine.orphaned_steps import hand_over_orphaned_steps
from app.engine.reconcile import reconcile
from app.engine.reseed import reseed, until_at_work
from app.engine.temporal_server import TemporalServer, server_version, temporal_binary
from app.engine.terminal_server import TerminalServer
from app.engine.usage import UsageSampler, measuring
from app.engine.worker import make_worker
from app.gateway.server import Gateway
from app.store.database import open_database
from app.store.journal import Journal
from app.store.search_index import SearchIndex
from app.store.usage import UsageTable

log = logging.getLogger(__name__)


class Engine:
    """One user's engine: everything that works for the agents and is not the window."""

    def __init__(
        self,
        paths: Paths,
        *,
        make_host: Callable[[Paths], SandboxHost],
        make_runtime: Callable[[AgentSpec], AgentRuntime],
    ) -> None:
        self._paths = paths
        self._make_host = make_host
        self._make_runtime = make_runtime
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask the engine to end; ``run`` returns when it has."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until told to stop. Raises EngineRunning, HostError or EngineError when it cannot start."""
        self._paths.prepare()
        with InstanceLock(self._paths.engine_lock):
            async with contextlib.AsyncExitStack() as stack:
                journal = Journal(self._paths.journal_db)
                stack.callback(journal.close)
                server, client = await stack.enter_async_context(self._temporal())
                mail = MailRoom.open(journal, self._paths)
                stack.callback(mail.close)
                begun = await reseed(journal, mail.postbox, client)
                roster: Roster = {}
                warden = Warden(roster, journal, load_prices(self._paths))
                crew = await stack.enter_async_context(self._crew(mail, client, roster, warden))
                worker = make_worker(client, AgentSteps(crew, mail, warden))
                await hand_over_orphaned_steps(client)
                await stack.enter_async_context(worker)
                await until_at_work(client, begun)
                await stack.enter_async_context(watching(Watch(roster, warden, client)))
                await stack.enter_async_context(expiring(journal, mail.postbox, client))
                await stack.enter_async_context(approving(journal, client))
                await stack.enter_async_context(TerminalServer(self._paths.terminals, crew.terminal))
                await stack.enter_async_context(self._announced(journal, server))
                await self._stopping.wait()
                log.info("stopping")

    @asynccontextmanager
    async def _temporal(self) -> AsyncIterator[tuple[TemporalServer, Client]]:
        binary = temporal_binary()
        database = self._paths.temporal_db(await server_version(binary))
        server = TemporalServer(binary=binary, database=database, log_file=self._paths.temporal_log)
        try:
            yield server, await server.start()
        finally:
            await server.stop()

    @asynccontextmanager
    async def _crew(self, mail: MailRoom, client: Client, roster: Roster, warden: Warden) -> AsyncIterator[Crew]:
        journal = mail.journal
        host = self._make_host(self._paths)
        index = SearchIndex(self._paths.search_db)
        calls = ToolCalls(roster, mail, client, index)
        gateway = Gateway(calls.handle, warden.metered, calls.refused, warden.gate)
        memory = open_database(self._paths.journal_db)
        usage = UsageTable(self._paths.journal_db)
        crew = Crew(
            roster,
            host=host,
            gateway=gateway,
            journal=journal,
            memory=memory,
            paths=self._paths,
            make_runtime=self._make_runtime,
        )
        await host.start()
        try:
            await reconcile(host, journal, client, self._paths.machines)
            async with measuring(UsageSampler(host, usage)), indexing(index, self._paths):
                yield crew
        finally:
            await crew.close()
            await calls.close()
            await gateway.stop()
            await host.close()
            memory.close()
            index.close()
            usage.close()

    @asynccontextmanager
    async def _announced(self, journal: Journal, server: TemporalServer) -> AsyncIterator[None]:
        now, pid = datetime.now(UTC), os.getpid()
        info = EngineInfo(pid, __version__, server.address, server.ui_url, now.isoformat(timespec="seconds"))
        journal.append(ev.EngineStarted(id=f"engine/{pid}/{now:%Y%m%d%H%M%S%f}", at=now, pid=pid, version=__version__))
        write_ready(self._paths.engine_ready, info)
        log.info("ready: Temporal at %s, its window at %s", info.temporal, info.temporal_ui)
        try:
            yield
        finally:
            self._paths.engine_ready.unlink(missing_ok=True)
            end = datetime.now(UTC)
            journal.append(ev.EngineStopped(id=f"engine/{pid}/{end:%Y%m%d%H%M%S%f}/stopped", at=end, pid=pid))


async def run_until_signalled(engine: Engine) -> None:
    """Run the engine until it gets TERM or INT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.stop)
    await engine.run()
