"""Runs, viewers, a network that breaks, and servers that are killed again and again."""

from __future__ import annotations

import asyncio
import random
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID

import msgspec
from killer import Killer
from proxy import Proxy
from records import SPENT, Records
from server import Server
from verdict import Faults, judge
from viewers import WAYS, Viewer, watch
from weather import Weather

from orchestrator.pipeline import AGENT_TYPES, PipelineMode
from realtime.client import ConnectionLostError, RunClient, ServerRefusedError
from realtime.settings import Settings
from realtime.wiring import LOCAL, migrate, mint_token

DOCUMENTS = Path(__file__).parents[2] / "tests" / "orchestrator" / "documents"
PACE_S = 1.5
HEARTBEAT_S = 2.0
LEASE_S = 2.0
PARALLEL = 0.2
"""The share of runs whose steps are side by side."""

ACCEPTING_S = 10.0
"""Runs are accepted within so long, while kills have begun; sooner where there are to be few kills."""

AFTERWARDS_S = 180.0
"""How long runs and viewers may take once nothing is killed any more."""

PER_KILL_S = 20.0
ANSWER_S = 10.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    seed: int
    kills: int
    runs: int
    servers: int = 1
    database_url: str | None = None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    seed: int
    database: str
    servers: int
    runs: int
    kills: int
    freezes: int
    missed_kills: int
    """Kills that were asked for and met no run any more."""
    viewers: int
    events: int
    connections: int
    """That viewers had made, and were served on."""
    troubles: dict[str, int]
    """What the network did to them."""
    seconds: float
    tokens: int
    """What the runs cost."""
    lost_tokens: int
    """What else the tenant's usage counts: calls that died with their worker."""
    faults: Faults


Tell = Callable[[str], None]


class Torture:
    """Servers of one store, each with a fresh home, and what is done to them."""

    def __init__(self, options: Options, folder: Path, tell: Tell) -> None:
        self._options = options
        self._tell = tell
        self._draw = random.Random(options.seed)
        self._servers = [self._server(folder / str(number)) for number in range(options.servers)]
        self._records = Records(self._servers[0].settings.home, options.database_url)
        ports = [server.settings.port for server in self._servers]
        self._proxy = Proxy(ports, random.Random(options.seed + 2))
        self._token = ""

    def _server(self, folder: Path) -> Server:
        folder.mkdir()
        settings = Settings(
            port=_free_port(),
            home=folder / "home",
            database_url=self._options.database_url,
            secret=f"{self._options.seed:032}",
            heartbeat_s=HEARTBEAT_S,
            idle_timeout_s=3 * HEARTBEAT_S,
            lease_s=LEASE_S,
            pace_s=PACE_S,
            log_level="warning",
        )
        return Server(settings, folder / "log")

    async def run(self) -> Figures:
        """Do all of it, and judge."""
        began = time.monotonic()
        self._token = await self._open()
        modes = {self._draw_id(): self._draw_mode() for _ in range(self._options.runs)}
        viewers = [Viewer(run_id, kind) for run_id in modes for kind in WAYS]
        costs = await self._costs()
        spent_before = await self._spent()
        lease_s = 0 if self._options.database_url is None else LEASE_S  # SQLite's one server takes all runs at once
        killer = Killer(self._servers, self._records, self._draw, step_s=PACE_S, lease_s=lease_s)
        weather = Weather(self._proxy, random.Random(self._options.seed + 1))
        try:
            async with self._proxy.listening():
                await self._hurt(modes, viewers, killer, weather)
            for server in self._servers:
                await server.stop()
        finally:
            for server in self._servers:
                await server.kill()
        spent = await self._spent() - spent_before
        due = {run_id: costs[mode] for run_id, mode in modes.items()}
        return Figures(
            seed=self._options.seed,
            database="SQLite" if self._options.database_url is None else "PostgreSQL",
            servers=len(self._servers),
            runs=len(modes),
            kills=killer.kills,
            freezes=killer.freezes,
            missed_kills=self._options.kills - killer.kills,
            viewers=len(viewers),
            events=sum(len(viewer.payloads) for viewer in viewers),
            connections=sum(viewer.connections for viewer in viewers),
            troubles=dict(weather.counts),
            seconds=round(time.monotonic() - began, 1),
            tokens=sum(due.values()),
            lost_tokens=spent - sum(due.values()),
            faults=await judge(self._records, viewers, due, spent),
        )

    async def _open(self) -> str:
        """See to the tables, the local user and project; a token of theirs."""
        settings = self._servers[0].settings
        if settings.database_url is not None:
            await migrate(settings)
        return await mint_token(settings, LOCAL)

    async def _hurt(
        self, modes: dict[str, PipelineMode], viewers: Sequence[Viewer], killer: Killer, weather: Weather
    ) -> None:
        """Have all runs watched to their ends, while servers are killed and connections break."""
        async with asyncio.TaskGroup() as group:
            asides = [
                group.create_task(weather.blow()),
                group.create_task(self._tell_progress(killer, viewers)),
            ]
            killing = group.create_task(killer.kill(modes.keys(), self._options.kills))
            watching = []
            for number, (run_id, mode) in enumerate(modes.items()):
                turn = killer.until(self._kills_before(number))
                its = [viewer for viewer in viewers if viewer.run_id == run_id]
                watching.append(group.create_task(self._begin(run_id, mode, its, turn)))
            async with asyncio.timeout(PER_KILL_S * self._options.kills):
                await killing
            async with asyncio.timeout(AFTERWARDS_S):
                await asyncio.gather(*watching)
            for aside in asides:
                aside.cancel()

    async def _spent(self) -> int:
        """All tokens that the tenant's usage has."""
        (row,) = await self._records.read(SPENT)
        return int(row["tokens"])

    def _draw_id(self) -> str:
        return str(UUID(int=self._draw.getrandbits(128), version=4))

    def _draw_mode(self) -> PipelineMode:
        return PipelineMode.PARALLEL if self._draw.random() < PARALLEL else PipelineMode.SEQUENTIAL

    async def _costs(self) -> dict[PipelineMode, int]:
        """What one undisturbed pass costs; on the way, the documents are put in place."""
        server = self._servers[0]
        await server.start(pace_s=0)
        try:
            await server.ready()
            async with RunClient(server.url, self._token) as client:
                for document in sorted(DOCUMENTS.iterdir()):
                    await client.upload(document.name, document.read_bytes())
                return {mode: await self._cost(client, mode) for mode in PipelineMode}
        finally:
            await server.stop()

    async def _cost(self, client: RunClient, mode: PipelineMode) -> int:
        run = await client.start_run(AGENT_TYPES, pipeline_mode=mode, use_cache=False)
        async for _ in client.watch(run.id):
            pass
        return (await client.get_run(run.id)).total_tokens

    def _kills_before(self, number: int) -> int:
        """How many kills a run waits for: several servers get on too well to be given all runs at once."""
        if len(self._servers) == 1:
            return 0
        return number * (self._options.kills - 1) // max(1, self._options.runs - 1)

    async def _begin(self, run_id: str, mode: PipelineMode, viewers: Sequence[Viewer], turn: Awaitable[None]) -> None:
        """When it is its turn, have the run accepted, asking as often as it takes, and watched to its end."""
        await turn
        draw = random.Random(run_id)
        await asyncio.sleep(draw.uniform(0, min(ACCEPTING_S, self._options.kills)))
        async with RunClient(self._proxy.url, self._token) as client:
            await _accept(client, run_id, mode, draw)
        headers = {"Authorization": f"Bearer {self._token}"}
        await asyncio.gather(*(watch(viewer, self._proxy.url, headers, draw) for viewer in viewers))

    async def _tell_progress(self, killer: Killer, viewers: Sequence[Viewer]) -> None:
        while True:
            await asyncio.sleep(5)
            ended = sum(viewer.ended for viewer in viewers)
            connections = sum(viewer.connections for viewer in viewers)
            events = sum(viewer.cursor for viewer in viewers)
            self._tell(
                f"{killer.kills} of {self._options.kills} kills; {ended} of {len(viewers)} viewers at the end, "
                f"{events} events over {connections} connections"
            )


async def torture(options: Options, tell: Tell) -> Figures:
    """The figures of one torture. Nothing is left behind, however it ends.

    Raises:
        ServerDiedError, StuckError, RefusedError, TimeoutError: the server does not do what it should; in a group.

    """
    with tempfile.TemporaryDirectory(prefix="runcast-torture-") as home:
        return await Torture(options, Path(home), tell).run()


async def _accept(client: RunClient, run_id: str, mode: PipelineMode, draw: random.Random) -> None:
    """Ask for the run, under its one id, until the answer is that it is accepted."""
    while True:
        try:
            async with asyncio.timeout(ANSWER_S):
                await client.start_run(AGENT_TYPES, pipeline_mode=mode, run_id=run_id, use_cache=False)
            return
        except (ConnectionLostError, TimeoutError):
            await asyncio.sleep(draw.uniform(0, 0.5))
        except ServerRefusedError as refused:
            if refused.status is None or refused.status < 500:
                raise
            await asyncio.sleep(draw.uniform(0, 0.5))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
