"""What every viewer may rely on, on every wire and by either outlet: the bytes as they arrive at a strict client."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from contracts.wires.carriers import Http1
from contracts.wires.viewers import ENDED, StreamViewer, rest_of, take
from contracts.wires.ways import STREAM_WAYS, Place, stored, stream_path
from seeded import SeededRun, all_gone, seed_run

pytestmark = pytest.mark.asyncio(loop_scope="module")

LABELS = ("Reading", 'Größe, 見出し, 🎉 \u2028 \\ " \x00', "\r\n\ndata: x\nid: 9\n\n", "x" * 70_000, "語" * 25_000)
"""What events say: small and beyond 64 KiB, of every length of a character in UTF-8, and what SSE itself says."""
STEP_S = 30.0
"""Within so many seconds must happen what a test waits for."""


async def test_way_leads_by_the_outlet_it_names(place: Place, run: SeededRun) -> None:
    """The ready bytes of HTTP/1.1 leave past the server, everything else through it."""
    async with place.watch(run.id) as viewer:
        await take(viewer, 1)
        assert place.outlets() == {place.way.outlet}
    await all_gone(place.server)


async def test_event_arrives_before_the_next_is_published_and_the_stream_ends_for_good(
    place: Place, run: SeededRun
) -> None:
    """Invariants 4 and 7: each event comes as it happens, as the store has it, byte for byte; then the end, once."""
    async with asyncio.timeout(STEP_S), place.watch(run.id) as viewer:
        arrived = await take(viewer, 1)
        for label in LABELS:
            await run.progress(label)
            arrived += await take(viewer, 1)
        await run.finish()
        arrived += await rest_of(viewer)
        assert await viewer.end() == ("closed 1000" if place.way.is_socket else ENDED)
    assert arrived == await stored(place.server, run)


async def test_replay_has_the_bytes_of_what_was_live(place: Place, run: SeededRun) -> None:
    """Invariants 4 and 7: from every cursor, of a live run and of the finished one, comes the rest, byte for byte."""
    await run.progress(*LABELS, publish=False)
    log = await stored(place.server, run)
    for cursor in range(len(log)):
        async with asyncio.timeout(STEP_S), place.watch(run.id, cursor or None) as viewer:
            assert await take(viewer, len(log) - cursor) == log[cursor:]
    await run.finish()
    log = await stored(place.server, run)
    for cursor in range(len(log)):
        async with asyncio.timeout(STEP_S), place.watch(run.id, cursor or None) as viewer:
            assert await rest_of(viewer) == log[cursor:]


async def test_cursor_at_the_end_gets_what_comes_or_that_nothing_will(place: Place, run: SeededRun) -> None:
    """A viewer that has everything gets what is new of a live run, and of a finished one at once that it is over."""
    async with asyncio.timeout(STEP_S), place.watch(run.id, 1) as viewer:
        await run.progress("new")
        assert [event.id for event in await take(viewer, 1)] == [2]
        await run.finish()
        assert [event.id for event in await rest_of(viewer)] == [3]
    async with asyncio.timeout(STEP_S), place.watch(run.id, 3) as viewer:
        assert await rest_of(viewer) == []


@pytest.mark.parametrize(("cursor", "reason"), [(999, "cursor_ahead_of_log"), ("x", "malformed_cursor")])
async def test_cursor_that_cannot_be_served_is_reset_and_the_stream_goes_on(
    place: Place, run: SeededRun, cursor: int | str, reason: str
) -> None:
    """Invariant 6: the viewer is told why and where it is now, and gets every event after that."""
    await run.progress("a", "b")
    async with asyncio.timeout(STEP_S), place.watch(run.id, cursor) as viewer:
        if not place.way.is_socket:
            assert [event.id for event in await take(viewer, 1)] == [3]
        assert viewer.reset == {"reason": reason, "cursor": 3}
        await run.progress("c")
        await run.finish()
        assert await rest_of(viewer) == (await stored(place.server, run))[3:]


async def test_log_that_expired_is_reset_and_the_stream_ends(place: Place, run: SeededRun) -> None:
    """Invariants 6 and 7: what retention took is told by the state of the run, and then it is over."""
    await run.progress("a")
    await run.finish()
    async with asyncio.timeout(STEP_S):
        while run.id not in await place.server.home.store.drop_logs(run.key.tenant, 0):
            pass  # it ended in this very millisecond
    async with asyncio.timeout(STEP_S), place.watch(run.id, 1) as viewer:
        events = await rest_of(viewer)
        assert viewer.reset == {"reason": "log_expired", "cursor": 3}
        assert [event.id for event in events] == [3]


async def test_viewers_that_join_at_any_moment_get_every_event_once(place: Place, run: SeededRun) -> None:
    """Invariant 3: viewers that come while events are saved and published, one by one, get ids 1…n, like all."""
    begun = asyncio.Event()

    async def work() -> None:
        await begun.wait()
        for number in range(60):
            await run.progress(str(number))
        await run.finish()

    working = asyncio.create_task(work())
    async with asyncio.timeout(STEP_S), contextlib.AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(place.watch(run.id))]
        begun.set()
        while len(viewers) < 8:
            viewers.append(await stack.enter_async_context(place.watch(run.id)))
        await working
        log = await stored(place.server, run)
        for viewer in viewers:
            assert await rest_of(viewer) == log


@pytest.mark.parametrize("way", [way for way in STREAM_WAYS if way.http == "1.1"], ids=str)
async def test_connection_that_carried_a_stream_carries_the_next(place: Place, run: SeededRun) -> None:
    """HTTP/1.1 keeps a connection: after one stream, ended properly, comes another, with nothing in between."""
    runs = [run, await seed_run(place.server)]
    async with asyncio.timeout(STEP_S), place.connection() as carrier:
        assert isinstance(carrier, Http1)
        for number, one in enumerate(runs):
            ask = carrier.ask_again if number else carrier.ask
            await ask(stream_path(one.id), place.stream_headers())
            viewer = StreamViewer(carrier)
            await viewer.open()
            await take(viewer, 1)
            for each in runs:
                if each is one:
                    await each.progress("live")
            await one.finish()
            assert [event.id for event in await rest_of(viewer)] == [2, 3]
            assert await viewer.end() == ENDED


@pytest.mark.parametrize("way", [way for way in STREAM_WAYS if way.http != "2"], ids=str)
async def test_stream_on_a_connection_that_closes_is_the_last_of_it(place: Place, run: SeededRun) -> None:
    """After the end of the body comes the end of the connection, and no byte between them."""
    async with asyncio.timeout(STEP_S), place.connection() as carrier:
        assert isinstance(carrier, Http1)
        await carrier.ask(stream_path(run.id), [*place.stream_headers(), ("connection", "close")])
        viewer = StreamViewer(carrier)
        await viewer.open()
        await run.progress(*["x" * 40_000] * 10)
        await run.finish()
        assert await rest_of(viewer) == await stored(place.server, run)
        await carrier.read_to_eof()
