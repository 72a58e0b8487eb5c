"""Acks over a real WebSocket: what they tell, whose they are, and where the next connection resumes by them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from live import GatedModel, LiveServer
from seeded import all_gone, seed_run
from socket_stage import finished_run, subscribe


async def test_acks_are_cumulative_and_lower_ones_ignored(server: LiveServer) -> None:
    """``acked`` tells the highest id; an ack below it changes nothing, one above the cursor is ACK_AHEAD."""
    run = await seed_run(server)
    await run.progress("a", "b", "c")
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id, client_id="c"))
        await socket.events_until(4)

        async def ack(event_id: int) -> dict[str, Any]:
            return await socket.ask({"op": "ack", "run_id": run.id, "event_id": event_id})

        assert (await ack(3))["event_id"] == 3
        assert (await ack(1))["event_id"] == 3
        ahead = await ack(5)
        assert (ahead["code"], ahead["fatal"], ahead["run_id"]) == ("ACK_AHEAD", False, run.id)
        assert (await ack(4))["event_id"] == 4
        stranger = str(uuid4())
        refused = await socket.ask({"op": "ack", "run_id": stranger, "event_id": 1})
        assert (refused["code"], refused["run_id"]) == ("NOT_SUBSCRIBED", stranger)


async def test_ack_given_back_by_client_id_on_the_next_connection(server: LiveServer) -> None:
    """Acks of a ``client_id`` are kept at disconnect, per client: the next subscription resumes after them."""
    run = await seed_run(server)
    await run.progress("a", "b")
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id, client_id="one"))
        await socket.events_until(3)
        assert (await socket.ask({"op": "ack", "run_id": run.id, "event_id": 2}))["op"] == "acked"
        socket.connection.transport.abort()
    await all_gone(server)
    async with server.socket() as socket:
        answer = await socket.ask(subscribe(run.id, client_id="one"))
        assert (answer["cursor"], answer["resumed"]) == (2, True)
        assert (await socket.ask(subscribe(run.id, client_id="two")))["cursor"] == 0
        assert (await socket.ask(subscribe(run.id, client_id="one", last_event_id=1)))["cursor"] == 1


async def test_ack_is_known_at_once_on_the_same_connection(server: LiveServer) -> None:
    """Subscribing again by ``client_id`` right after an ack resumes after that ack."""
    run = await seed_run(server)
    await run.progress("a", "b")
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id, client_id="one"))
        await socket.events_until(3)
        await socket.ask({"op": "ack", "run_id": run.id, "event_id": 3})
        assert (await socket.ask(subscribe(run.id, client_id="one")))["cursor"] == 3


async def test_ack_after_finish_is_kept(server: LiveServer, model: GatedModel) -> None:
    """The last events can be acked after ``finished``; the client is then told ``finished`` and nothing else."""
    run_id = await finished_run(server, model)
    async with server.socket() as socket:
        await socket.ask(subscribe(run_id, client_id="one"))
        last = (await socket.events_until())[-1]["id"]
        acked = await socket.ask({"op": "ack", "run_id": run_id, "event_id": last})
        assert acked == {"op": "acked", "run_id": run_id, "event_id": last}
        assert (await socket.ask({"op": "unsubscribe", "run_id": run_id}))["op"] == "unsubscribed"
        assert (await socket.ask(subscribe(run_id, client_id="one")))["cursor"] == last
        assert await socket.receive() == {"op": "finished", "run_id": run_id}


async def test_acks_are_each_users_own(server: LiveServer) -> None:
    """Invariant 9: the same client_id of another user of the project is another viewer."""
    run = await seed_run(server)
    await run.progress("a")
    other = await server.user_with_role("admin")
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id, client_id="one"))
        await socket.events_until(2)
        await socket.ask({"op": "ack", "run_id": run.id, "event_id": 2})
        await socket.ask({"op": "unsubscribe", "run_id": run.id})
    async with server.socket(additional_headers={"Authorization": f"Bearer {other}"}) as socket:
        assert (await socket.ask(subscribe(run.id, client_id="one")))["cursor"] == 0


async def test_acks_do_not_count_against_the_frame_limit(server: LiveServer) -> None:
    """A viewer may ack every event it gets, however fast they come."""
    run = await seed_run(server)
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id))
        await socket.events_until(1)
        for _ in range(300):
            assert (await socket.ask({"op": "ack", "run_id": run.id, "event_id": 1}))["op"] == "acked"
