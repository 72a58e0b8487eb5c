"""Viewers under pressure, on every wire and by either outlet: bursts, readers that are slow or leave, lost roles."""

from __future__ import annotations

import asyncio

import pytest
from contracts.wires.viewers import ENDED, rest_of, take
from contracts.wires.ways import Place, stored
from live import LiveServer
from seeded import SeededRun, all_gone

pytestmark = pytest.mark.asyncio(loop_scope="module")

BIG = "x" * 30_000
MANY = 40
"""With so many big events no buffer on the way holds the log, nor does a tail."""
STEP_S = 30.0
"""Within so many seconds must happen what a test waits for."""


@pytest.mark.parametrize(("count", "size"), [(129, 10), (600, 10), (6, 18_000)])
async def test_burst_arrives_whole_without_anything_after_it(
    place: Place, run: SeededRun, count: int, size: int
) -> None:
    """Events published at once, in one page or many, all come by themselves, to each of two viewers."""
    async with (
        asyncio.timeout(STEP_S),
        place.watch(run.id) as viewer,
        place.watch(run.id, 1) as other,
    ):
        seen = await take(viewer, 1)
        await run.progress(*["x" * size] * count)
        seen += await take(viewer, count)
        log = await stored(place.server, run)
        assert seen == log
        assert await take(other, count) == log[1:]


async def test_slow_reader_gets_everything_and_costs_another_nothing(place: Place, run: SeededRun) -> None:
    """Invariant 5: while one reads nothing the other is up to date; then the first gets all of it, to the end."""
    counts = place.server.home.backend.broadcaster.counts
    async with (
        asyncio.timeout(STEP_S),
        place.watch(run.id, slow=True) as slow,
        place.watch(run.id) as witness,
    ):
        seen = await take(witness, 1)
        for _ in range(0, MANY, 10):
            await run.progress(*[BIG] * 10)
            seen += await take(witness, 10)
        assert seen == await stored(place.server, run)
        assert counts.lagging == 1
        await run.finish()
        seen += await rest_of(witness)
        assert await rest_of(slow) == seen == await stored(place.server, run)
        assert counts.lagging == 0


async def test_viewer_that_leaves_in_a_burst_is_let_go(place: Place, run: SeededRun) -> None:
    """A connection that is cut with unread bytes in it leaves nothing behind, and others get everything."""
    async with asyncio.timeout(STEP_S), place.watch(run.id) as witness:
        async with place.watch(run.id) as leaving:
            await take(leaving, 1)
            await run.progress(*[BIG] * MANY)
            await take(leaving, 3)
        await run.finish()
        assert await rest_of(witness) == await stored(place.server, run)
    await all_gone(place.server)


async def somebody(server: LiveServer) -> str:
    """A token of a member of the project whose role can be taken away."""
    return await server.user_with_role("qa-automation")


async def take_role(server: LiveServer) -> None:
    """Take that role away, and have the server notice."""
    accounts, tenant = server.home.store.accounts, server.home.user.tenant
    user = await accounts.find_user(tenant, "somebody@localhost")
    assert user is not None
    await accounts.remove_member(tenant, server.home.project_id, user.id)
    await server.home.backend.access.check()


async def test_lost_role_ends_the_stream(place: Place, run: SeededRun) -> None:
    """Invariant 9: nothing comes of what happens after the role was lost, and the stream comes to its proper end."""
    token = await somebody(place.server)
    async with asyncio.timeout(STEP_S), place.watch(run.id, token=token) as viewer:
        await take(viewer, 1)
        await take_role(place.server)
        await run.progress("not for them")
        await run.finish()
        assert await rest_of(viewer) == []
        assert await viewer.end() == ("closed 1000" if place.way.is_socket else ENDED)


async def test_lost_role_ends_the_stream_of_one_that_lags(place: Place, run: SeededRun) -> None:
    """Invariant 9: a viewer that is far behind gets no more than what was on its way, and is not fed from the log."""
    token = await somebody(place.server)
    async with asyncio.timeout(STEP_S), place.watch(run.id, token=token, slow=True) as viewer:
        await run.progress(*[BIG] * MANY)
        await lagging(place)
        await take_role(place.server)
        seen = await rest_of(viewer)
        assert seen == (await stored(place.server, run))[: len(seen)]
        assert len(seen) < MANY // 2
    await all_gone(place.server)


async def lagging(place: Place) -> None:
    """Return when a viewer lags."""
    while not place.server.home.backend.broadcaster.counts.lagging:
        await asyncio.sleep(0.002)
