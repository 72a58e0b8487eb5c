"""How streams end by the server's will, on every wire at once: at a drain, and when a token expires."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Secured
from contracts.wires.viewers import ENDED, Seen, SocketViewer, Viewer, rest_of, take
from contracts.wires.ways import WAYS, Place, Way, keep_portable, stored
from live import LiveServer, live_server
from seeded import SeededRun, all_gone, seed_run

from realtime import server as server_module

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("tls", [False, True], ids=["http", "https"]),
]

BIG = "x" * 5_000
BURST = 200
STEP_S = 30.0
"""Within so many seconds must happen what a test waits for."""

Watching = dict[Way, Viewer]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the server of a test keeps everything."""
    return tmp_path / "home"


@contextlib.asynccontextmanager
async def served(home: Path, secured: Secured, tls: bool) -> AsyncIterator[LiveServer]:
    """A server of its own, over http or https."""
    options: dict[str, Any] = {"ssl_context": secured.trust(), **secured.settings} if tls else {}
    async with live_server(home, **options) as live:
        yield live


async def watch_every_way(
    stack: contextlib.AsyncExitStack, server: LiveServer, secured: Secured, run: SeededRun, **options: Any
) -> Watching:
    """A viewer on every way to the server, with these options of `Place.watch`, each past the run's first event."""
    watching: Watching = {}
    tls = server.ssl_context is not None
    for way in [way for way in WAYS if way.tls is tls]:
        place = Place(server, way, secured if tls else None)
        with pytest.MonkeyPatch.context() as patch:
            if way.portable:
                keep_portable(patch)
            watching[way] = await stack.enter_async_context(place.watch(run.id, **options))
        await take(watching[way], 1)
    return watching


async def seen_to_the_end(viewer: Viewer) -> tuple[list[Seen], str]:
    """What still comes, and how it ends."""
    return await rest_of(viewer), await viewer.end()


async def test_drain_in_a_burst_ends_every_stream_between_two_events(home: Path, secured: Secured, tls: bool) -> None:
    """WebSockets hear ``draining`` and close with 1012, streams come to their proper end; nobody has a gap."""
    async with (
        asyncio.timeout(STEP_S),
        contextlib.AsyncExitStack() as stack,
        asyncio.TaskGroup() as readers,
        served(home, secured, tls) as server,
    ):
        run = await seed_run(server)
        watching = await watch_every_way(stack, server, secured, run)
        reading = {way: readers.create_task(seen_to_the_end(viewer)) for way, viewer in watching.items()}
        await run.progress(*[BIG] * BURST)
        log = await stored(server, run)
    for way, ending in reading.items():
        seen, end = ending.result()
        assert seen == log[1 : 1 + len(seen)], way
        assert end == ("closed 1012" if way.is_socket else ENDED), way
        if isinstance(viewer := watching[way], SocketViewer):
            assert viewer.said == ["draining"], way


async def test_token_that_expires_ends_every_stream(home: Path, secured: Secured, tls: bool) -> None:
    """Invariant 9: WebSockets close with 4401 and streams come to their end; nothing of what happens then is told."""
    async with asyncio.timeout(STEP_S), served(home, secured, tls) as server, contextlib.AsyncExitStack() as stack:
        run = await seed_run(server)
        watching = await watch_every_way(stack, server, secured, run, token=server.home.issue_token(4))
        await all_gone(server)
        await run.progress("nobody is there")
        for way, viewer in watching.items():
            assert await seen_to_the_end(viewer) == ([], "closed 4401" if way.is_socket else ENDED), way


@contextlib.asynccontextmanager
async def bounded() -> AsyncIterator[None]:
    """After `STEP_S` whatever was begun meanwhile is cancelled, over and over: a server that hangs fails its test."""
    timer: asyncio.TimerHandle
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()

    def begun() -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks() - before

    def cancel() -> None:
        nonlocal timer
        for task in begun():
            task.cancel()
        timer = loop.call_later(0.1, cancel)

    timer = loop.call_later(STEP_S, cancel)
    try:
        async with asyncio.timeout(STEP_S):
            yield
        assert not begun()
    finally:
        while begun():
            cancel()
            timer.cancel()
            await asyncio.wait(begun(), timeout=0.1)
        timer.cancel()


async def test_drain_leaves_viewers_behind_that_read_nothing(
    home: Path, secured: Secured, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams that lag when the server drains, on any wire, hold it up for as long as it gives them, and no more."""
    drain_s = 0.2
    monkeypatch.setattr(server_module, "DRAIN_S", drain_s)
    async with bounded(), contextlib.AsyncExitStack() as stack:
        async with served(home, secured, tls) as server:
            run = await seed_run(server)
            watching = await watch_every_way(stack, server, secured, run, slow=True)
            for _ in range(10):
                await run.progress(*["x" * 40_000] * 10)
            while server.home.backend.broadcaster.counts.lagging < len(watching):
                await asyncio.sleep(0.002)
            began = time.monotonic()
        assert time.monotonic() - began < drain_s + 3
