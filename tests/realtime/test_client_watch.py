"""How long a watch lives, what it leaves behind, and the pure rules that it follows."""

from __future__ import annotations

import asyncio
import json

import pytest
from client_stage import PROJECT, RUN, Peer, Script, Stage, attach, event, last, nobody

from realtime.client import ConnectionLostError, RunClient, RunClientError, ServerRefusedError, Transport
from realtime.client.errors import LinkLostError
from realtime.client.items import Backoff, TransportChoice
from realtime.client.site import Site


async def one_event(peer: Peer) -> None:
    """Give one event and wait for the client to leave."""
    await attach(peer)
    peer.say(event(1))
    await peer.closed.wait()


async def one_sse_event(peer: Peer) -> None:
    """The same over SSE."""
    peer.stream()
    peer.part('id: 1\ndata: {"type":"running","run_id":"' + RUN + '","payload":{}}\n\n')
    await peer.closed.wait()


TRANSPORTS = pytest.mark.parametrize(
    ("transport", "script"), [(Transport.WEBSOCKET, one_event), (Transport.SSE, one_sse_event)]
)


@TRANSPORTS
async def test_leaving_the_loop_closes_the_connection(transport: Transport, script: Script) -> None:
    """``break`` is enough: the server sees the client go while the client object lives on."""
    async with Stage(script) as stage, RunClient(stage.url, transports=[transport]) as client:
        async for item in client.watch(RUN):
            assert item.id == 1
            break
        await asyncio.wait_for(stage.peers[0].closed.wait(), 5)


@TRANSPORTS
async def test_client_closed_leaves_no_task_or_socket(transport: Transport, script: Script) -> None:
    """After the client's end nothing of a watch that was left or is still held runs on."""
    async with Stage(script) as stage:
        async with RunClient(stage.url, transports=[transport]) as client:
            watch = client.watch(RUN)
            await anext(watch)
        await asyncio.wait_for(stage.peers[0].closed.wait(), 5)
        with pytest.raises(RunClientError, match="closed"):
            await anext(watch)
        await watch.aclose()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        assert [task for task in tasks if "client_stage" not in repr(task)] == []


async def test_client_closed_elsewhere_wakes_a_waiting_watch() -> None:
    """Closing the client from another task ends a wait with an error instead of connecting again."""
    async with Stage(one_event) as stage:
        client = RunClient(stage.url)
        watch = client.watch(RUN)
        await anext(watch)
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(RunClientError, match="closed"):
            await waiting


async def test_cancelled_wait_closes_the_connection_and_continues_later() -> None:
    """A time limit round a wait loses no event: the next wait goes on from the cursor."""

    async def rest(peer: Peer) -> None:
        assert (await attach(peer, 1, 2))["last_event_id"] == 1
        peer.say(last(2))

    async with Stage(one_event, rest) as stage, RunClient(stage.url) as client, client.watch(RUN) as watch:
        assert (await anext(watch)).id == 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(watch), 0.05)
        await asyncio.wait_for(stage.peers[0].closed.wait(), 5)
        assert watch.cursor == 1
        assert [item.id async for item in watch] == [2]


async def test_watch_closed_yields_nothing_more() -> None:
    """``async with`` closes the watch; what is asked afterwards ends at once."""
    async with Stage(one_event) as stage, RunClient(stage.url) as client:
        async with client.watch(RUN) as watch:
            assert (await anext(watch)).id == 1
            assert watch.run_id == RUN
        assert [item async for item in watch] == []


async def test_watch_cancelled_leaves_nothing() -> None:
    """A task that is cancelled in the middle of a watch ends soon and closes its connection."""

    async def follow(client: RunClient) -> None:
        async for _ in client.watch(RUN):
            seen.set()

    seen = asyncio.Event()
    async with Stage(one_event) as stage, RunClient(stage.url) as client:
        task = asyncio.ensure_future(follow(client))
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(stage.peers[0].closed.wait(), 5)


async def test_slow_reader_gets_everything() -> None:
    """A reader that takes longer than the silence limit for each event loses neither events nor the connection."""

    async def script(peer: Peer) -> None:
        await attach(peer, head=60)
        peer.say({"op": "welcome", "heartbeat_s": 0.02})
        peer.say(*[event(number) for number in range(1, 60)], last(60))

    ids = []
    async with Stage(script) as stage, RunClient(stage.url, transports=[Transport.WEBSOCKET]) as client:
        async for item in client.watch(RUN):
            ids.append(item.id)
            if item.id in {2, 30}:
                await asyncio.sleep(0.1)
    assert ids == list(range(1, 61))
    assert len(stage.peers) == 1


async def test_unreachable_server_ends_by_the_limit_alone() -> None:
    """Only a caller that set ``max_wait_s`` is told that the connection is lost, with the reason."""
    with nobody() as url:
        async with RunClient(url) as client:
            with pytest.raises(ConnectionLostError, match=r"no connection for 0\.05 s: no connection"):
                await anext(client.watch(RUN, max_wait_s=0.05))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(client.watch(RUN)), 0.1)


async def test_server_that_accepts_and_says_nothing_ends_by_the_limit() -> None:
    """A connection that never brings a subscription is none."""

    async def mute(peer: Peer) -> None:
        await peer.closed.wait()

    async with Stage(mute) as stage, RunClient(stage.url) as client:
        with pytest.raises(ConnectionLostError):
            await anext(client.watch(RUN, max_wait_s=0.05))


async def test_limit_does_not_count_quiet_time() -> None:
    """A run in which nothing happens for longer than ``max_wait_s`` is still watched: it is up to date."""

    async def quiet(peer: Peer) -> None:
        await attach(peer)
        await asyncio.sleep(0.7)
        peer.say(last(1))

    async with Stage(quiet) as stage, RunClient(stage.url) as client:
        assert [item.id async for item in client.watch(RUN, max_wait_s=0.5)] == [1]


@TRANSPORTS
async def test_proxy_of_the_environment_is_not_asked_for_this_machine(
    transport: Transport, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on the loopback address is reached directly, whatever proxy the environment names."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Stage(script) as stage, RunClient(stage.url, transports=[transport]) as client:
        assert (await anext(client.watch(RUN, max_wait_s=5))).id == 1


def test_loopback_is_told_from_other_hosts() -> None:
    """Names and addresses of this machine are known; everything else may be behind a proxy."""
    urls = ["http://localhost:1", "http://[::1]:1", "http://127.0.0.2", "https://example.org", "http://192.0.2.1"]
    assert [Site(url, None, None).proxied for url in urls] == [False, False, False, True, True]


async def test_request_without_answer_raises_connection_lost() -> None:
    """Requests do not retry by themselves."""
    with nobody() as url:
        async with RunClient(url) as client:
            with pytest.raises(ConnectionLostError, match="does not answer"):
                await client.agents()


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(502, b"<html>", "HTTP_502"), (402, b'{"error":"BUDGET_EXCEEDED","message":"used up"}', "BUDGET_EXCEEDED")],
)
async def test_request_refused_raises_the_servers_code(status: int, body: bytes, code: str) -> None:
    """An error answer becomes an error with its code; somebody else's answer is called by its status."""

    async def script(peer: Peer) -> None:
        peer.answer(status, body)

    async with Stage(script) as stage, RunClient(stage.url) as client:
        with pytest.raises(ServerRefusedError) as caught:
            await client.get_run(RUN, PROJECT)
    assert (caught.value.code, caught.value.status) == (code, status)


async def test_answer_of_another_shape_raises() -> None:
    """A server that is none of ours is named, not guessed at."""

    async def script(peer: Peer) -> None:
        peer.answer(200, b'{"hello": 1}')

    async with Stage(script) as stage, RunClient(stage.url) as client:
        with pytest.raises(RunClientError, match="something else"):
            await client.projects()


async def test_member_of_no_project_is_told() -> None:
    """Without a project id and without projects there is nothing to mean."""

    async def script(peer: Peer) -> None:
        peer.answer(200, json.dumps({"projects": []}).encode())

    async with Stage(script) as stage, RunClient(stage.url) as client:
        with pytest.raises(RunClientError, match="no project"):
            await client.documents()


def test_url_of_another_scheme_is_refused() -> None:
    """Only HTTP addresses can be meant."""
    with pytest.raises(ValueError, match="http://"):
        RunClient("ws://127.0.0.1")


def test_backoff_bound_doubles_to_twenty_seconds_and_starts_again() -> None:
    """The delay is spread over all of 0 to the bound; progress starts at half a second again."""
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    backoff = Backoff(uniform)
    for _ in range(8):
        backoff.delay_s()
    backoff.reset()
    backoff.delay_s()
    assert [high for _, high in bounds] == [0.5, 1, 2, 4, 8, 16, 20, 20, 0.5]
    assert {low for low, _ in bounds} == {0}


def test_transport_changes_after_two_failures_without_progress() -> None:
    """Progress between failures keeps the transport, an unreachable server does not count, and both can return."""
    choice = TransportChoice([Transport.WEBSOCKET, Transport.SSE])
    seen = []
    for step in ["fail", "ok", "fail", "far", "far", "fail", "fail", "fail", "gone", "gone"]:
        if step == "ok":
            choice.progressed()
        else:
            choice.failed(LinkLostError("", counts=step != "far", unavailable=step == "gone"))
        seen.append(choice.current.value[0])
    assert "".join(seen) == "wwwwwsswsw"


def test_transport_that_is_the_only_one_is_never_tried_at_once() -> None:
    """Where there is nothing to fall back to, even a refusal waits before the next try."""
    choice = TransportChoice([Transport.SSE])
    assert not choice.failed(LinkLostError("", unavailable=True))
    with pytest.raises(ValueError, match="one transport"):
        TransportChoice([])
