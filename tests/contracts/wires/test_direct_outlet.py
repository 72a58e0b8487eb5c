"""The outlet that writes to a transport: over real connections, plain and TLS, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import NamedTuple

import pytest
import pytest_asyncio
from certificates import Secured
from contracts.delivery_stage import KEY, ListLog, make_event
from contracts.wires.connections import Connection, connected

from realtime.broadcaster import Broadcaster
from realtime.direct_outlet import DirectOutlet
from realtime.outlet import LIMIT_BYTES, MARK_BYTES
from realtime.page import PAGE_BYTES, Page
from realtime.subscription import Ending
from realtime.tls import load_server_tls

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"]),
]

STEP_S = 30.0
"""Within so many seconds must happen what a test waits for."""


class Ends(NamedTuple):
    """The two ends of a connection, and the outlet at the first; the peer holds little that it was not asked for."""

    outlet: DirectOutlet[bytes]
    transport: asyncio.WriteTransport
    peer: Connection

    async def read(self, size: int) -> bytes:
        """What the peer reads, as far as it goes."""
        async with asyncio.timeout(STEP_S):
            return await self.peer.receive_exactly(size)

    def fill(self) -> bytes:
        """Send pages until the outlet takes no more; what was sent."""
        sent = b""
        while self.outlet.ready:
            page = Page(0, [make_event(1, size=10_000)])
            assert self.outlet.send_page(page) == len(page.frames)
            sent += page.frames
        return sent


@pytest_asyncio.fixture(loop_scope="module")
async def ends(tls: bool, secured: Secured) -> AsyncIterator[Ends]:
    """A connection between two ends in this process."""
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    context = load_server_tls(secured.tls_cert, secured.tls_key).context if tls else None
    listening = await asyncio.start_server(
        lambda reader, writer: accepted.set_result(writer), "127.0.0.1", 0, ssl=context
    )
    port = listening.sockets[0].getsockname()[1]
    async with connected("127.0.0.1", port, secured.trust() if tls else None, slow=True) as peer:
        writer = await accepted
        yield Ends(DirectOutlet(writer, lambda page: page.frames, bytes), writer.transport, peer)
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    listening.close()
    await listening.wait_closed()


def is_open(outlet: DirectOutlet[bytes]) -> bool:
    """True while it takes pages, by itself or by its line, and says that it is not stalled."""
    facts = {outlet.line.transport is not None, outlet.stalled_since is None}
    assert len(facts) == 1, "the line and stalled_since disagree"
    return facts.pop()


async def test_outlet_over_the_mark_lags_and_calls_back_once_when_drained(ends: Ends) -> None:
    """It takes pages up to the mark and one over; then none until the peer has read, and no byte is lost."""
    outlet, called = ends.outlet, asyncio.Queue[int]()
    assert (outlet.ready, is_open(outlet)) == (True, True)
    for turn in range(2):
        sent = ends.fill()
        assert (outlet.ready, is_open(outlet)) == (False, False)
        assert ends.transport.get_write_buffer_size() > MARK_BYTES
        outlet.call_when_ready(partial(called.put_nowait, turn))
        outlet.send(b"control")  # leaves all the same
        assert await ends.read(len(sent) + 7) == sent + b"control"
        async with asyncio.timeout(STEP_S):
            await outlet.wait_ready()
            assert await called.get() == turn
        assert (outlet.ready, is_open(outlet)) == (True, True)
    assert called.empty()


@pytest.mark.parametrize("size", [1_000, PAGE_BYTES, 20 * PAGE_BYTES])
async def test_peer_that_reads_nothing_is_owed_the_mark_and_one_page(ends: Ends, size: int) -> None:
    """Invariant 5: however large pages are, live or from the log; when it reads again everything comes, in order."""
    log, ended = ListLog(), asyncio.Event()
    delivery = Broadcaster(log, tail_events=4)
    endings: list[Ending] = []

    def note(ending: Ending) -> None:
        endings.append(ending)
        ended.set()

    delivery.subscribe(KEY, 0, ends.outlet, note)
    async with asyncio.timeout(STEP_S):
        while not delivery.counts.lagging:
            delivery.publish(KEY, log.add(1 + 10_000 // size, size=size))
            await asyncio.sleep(0)
            assert ends.transport.get_write_buffer_size() <= MARK_BYTES + 2 * PAGE_BYTES + size
    delivery.publish(KEY, log.add(3, size=size))
    delivery.publish(KEY, log.add(1, last=True))
    wire = b"".join([event.frame for event in log.logs[KEY]])
    assert await ends.read(len(wire)) == wire
    async with asyncio.timeout(STEP_S):
        await ended.wait()
    assert endings == [Ending.FINISHED]
    await delivery.close()


async def test_outlet_that_finished_writes_no_more_and_what_waits_still_leaves(ends: Ends) -> None:
    """After ``finish`` nothing is written and nobody called; the server may write on, and what was sent arrives."""
    outlet, called = ends.outlet, asyncio.Event()
    sent = ends.fill()
    outlet.call_when_ready(called.set)
    waiting = asyncio.ensure_future(outlet.wait_finished())
    waiting_ready = asyncio.ensure_future(outlet.wait_ready())
    await asyncio.sleep(0)
    outlet.finish()
    outlet.finish()
    outlet.send(b"never")
    assert (outlet.ready, outlet.line.transport) == (False, None)
    ends.transport.write(b"the last of the server")
    assert await ends.read(len(sent) + 22) == sent + b"the last of the server"
    async with asyncio.timeout(STEP_S):
        await asyncio.gather(waiting, waiting_ready, outlet.wait_finished(), outlet.wait_ready())
    assert (outlet.ready, outlet.line.transport, outlet.overflowed) == (False, None, False)
    assert not called.is_set()


async def test_outlet_that_finished_while_it_lagged_never_opens_again(ends: Ends) -> None:
    """Finished and drained is still finished, in whatever order the loop learns of both."""
    outlet = ends.outlet
    sent = ends.fill()
    reading = asyncio.ensure_future(ends.read(len(sent)))
    while not reading.done() and ends.transport.get_write_buffer_size() > 0:
        await asyncio.sleep(0)
    outlet.finish()
    assert await reading == sent
    await asyncio.sleep(0)
    assert (outlet.ready, outlet.line.transport) == (False, None)


async def test_outlet_cut_with_bytes_waiting_cuts_the_connection(ends: Ends) -> None:
    """What waits is not sent any more: the peer gets less than all of it."""
    sent = ends.fill()
    ends.outlet.cut()
    assert (ends.outlet.ready, ends.outlet.line.transport) == (False, None)
    assert ends.transport.is_closing()
    got = b""
    async with asyncio.timeout(STEP_S):
        while data := await ends.peer.receive():
            got += data
    assert sent.startswith(got)
    assert len(got) < len(sent)


async def test_outlet_cut_with_nothing_waiting_leaves_the_connection(ends: Ends) -> None:
    """Where everything was sent, the server can still end the stream properly."""
    ends.outlet.send(b"all there is")
    assert await ends.read(12) == b"all there is"
    while ends.transport.get_write_buffer_size():
        await asyncio.sleep(0)
    ends.outlet.cut()
    assert not ends.transport.is_closing()
    ends.transport.write(b"goodbye")
    assert await ends.read(7) == b"goodbye"


async def test_control_frames_that_nobody_reads_overflow(ends: Ends) -> None:
    """Up to the limit they are sent while the outlet lags; the one beyond is dropped, and that is said for good."""
    frame, sent = b"x" * 10_000, 0
    while not ends.outlet.overflowed:
        ends.outlet.send(frame)
        sent += 1
        assert ends.transport.get_write_buffer_size() < LIMIT_BYTES + len(frame) + 1000
    assert not ends.outlet.ready
    await ends.read((sent - 1) * len(frame))
    async with asyncio.timeout(STEP_S):
        await ends.outlet.wait_ready()
    ends.outlet.send(b"goes again")
    assert await ends.read(10) == b"goes again"
    assert ends.outlet.overflowed


@pytest.mark.parametrize("who", ["peer", "server"])
async def test_connection_lost_while_the_outlet_lags_calls_nobody_back(ends: Ends, who: str) -> None:
    """Whoever cuts it: nobody is called, nothing raised, and nothing more taken; waiting for room ends."""
    outlet, called = ends.outlet, asyncio.Event()
    ends.fill()
    outlet.call_when_ready(called.set)
    if who == "server":
        ends.transport.abort()
    else:
        ends.peer.cut()
    async with asyncio.timeout(STEP_S):
        while not ends.transport.is_closing():
            outlet.send(b"x" * 1000)  # a cut is noticed by who writes
            await asyncio.sleep(0)
        await outlet.wait_ready()
    outlet.send(b"dropped")
    assert (outlet.ready, called.is_set()) == (False, False)


async def test_subscription_whose_connection_is_lost_is_closed_without_a_trace(ends: Ends) -> None:
    """A viewer that lagged when its connection went can be closed: no viewer, no lag, no callback is left."""
    log = ListLog()
    delivery = Broadcaster(log)
    subscription = delivery.subscribe(KEY, 0, ends.outlet, lambda ending: pytest.fail(f"ended: {ending}"))
    while not delivery.counts.lagging:
        delivery.publish(KEY, log.add(10, size=10_000))
        await asyncio.sleep(0)
    ends.transport.abort()
    async with asyncio.timeout(STEP_S):
        await ends.outlet.wait_ready()
    delivery.publish(KEY, log.add(1))
    subscription.close()
    assert (delivery.viewers, delivery.counts.lagging) == (0, 0)
    await delivery.close()
