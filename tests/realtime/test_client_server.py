"""``RunClient`` against the real server: every request, both transports, and a restart in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from live import ALL_AGENTS, SPEC, GatedModel, LiveServer

from realtime.client import (
    ConnectionState,
    ForbiddenError,
    NotAuthenticatedError,
    Reset,
    RunClient,
    RunEvent,
    RunNotFoundError,
    ServerRefusedError,
    Transport,
    Watch,
)
from realtime.events import RunKey
from realtime.server import serve
from realtime.settings import Settings
from realtime.wiring import Home

NOBODYS_RUN = "00000000-0000-4000-8000-000000000000"
BOTH = pytest.mark.parametrize("transport", list(Transport))


def as_logged(item: RunEvent | Reset) -> dict[str, object]:
    """The item in the shape of ``LiveServer.log``."""
    return {"id": item.id, "type": item.type, "run_id": item.run_id, "payload": item.payload}


@BOTH
async def test_run_watched_equals_the_stored_log(server: LiveServer, model: GatedModel, transport: Transport) -> None:
    """Live and again afterwards, what a watch yields is the log, and both times it ends by itself."""
    async with RunClient(server.url, server.token, transports=[transport]) as client:
        run = await client.start_run(ALL_AGENTS)
        watch = client.watch(run.id)
        seen = [await anext(watch)]
        model.finish(*ALL_AGENTS)
        seen += [item async for item in watch]
        again = [item async for item in client.watch(run.id, 2)]
        assert [item async for item in client.watch(run.id, watch.cursor)] == []
    log = await server.log(run.id)
    assert [as_logged(item) for item in seen] == log
    assert [as_logged(item) for item in again] == log[2:]


@BOTH
async def test_cursor_beyond_the_head_gives_a_reset(
    server: LiveServer, model: GatedModel, transport: Transport
) -> None:
    """A cursor that the log does not have brings the state as it is; the run is followed from there."""
    async with RunClient(server.url, server.token, transports=[transport]) as client:
        run = await client.start_run(["ba_consultant"])
        watch = client.watch(run.id, 1000)
        reset = await anext(watch)
        assert isinstance(reset, Reset)
        assert reset.reason == "cursor_ahead_of_log"
        assert reset.snapshot.id == run.id
        model.finish("ba_consultant")
        rest = [as_logged(item) async for item in watch]
    assert rest == (await server.log(run.id))[reset.id :]


@contextlib.asynccontextmanager
async def serving(home: Path, model: GatedModel, port: int = 0) -> AsyncIterator[tuple[str, Home]]:
    """The home served on a port of choice."""
    stop = asyncio.Event()
    ready: asyncio.Future[tuple[str, Home]] = asyncio.get_running_loop().create_future()
    settings = Settings(port=port, home=home, log_level="warning", retry_delays_s=())
    task = asyncio.ensure_future(
        serve(settings, ready=lambda url, opened: ready.set_result((url, opened)), stop=stop, model=model)
    )
    try:
        yield await ready
    finally:
        stop.set()
        await task


async def test_restart_in_the_middle_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """A server that drains and comes back on the same port is followed across, event by event."""
    before, after = GatedModel(), GatedModel()
    states: list[ConnectionState] = []
    async with serving(tmp_path, before) as (url, home):
        await home.import_document("spec.md", SPEC)
        client = RunClient(url, home.issue_token())
        run = await client.start_run(["ba_consultant"])
        watch = client.watch(run.id, on_connection=states.append)
        items = [await anext(watch)]
        before.progress("ba_consultant", 40, "Reading")
        while items[-1].payload.get("progress_pct") != 40:
            items.append(await anext(watch))
        rest = asyncio.ensure_future(collect(watch))
    after.finish("ba_consultant")
    async with serving(tmp_path, after, int(url.rpartition(":")[2])), client:
        items += await asyncio.wait_for(rest, 20)
    assert [item.id for item in items] == list(range(1, len(items) + 1))
    assert isinstance(items[-1], RunEvent)
    assert items[-1].terminal
    assert [state.state for state in states].count("live") == 2


async def collect(watch: Watch) -> list[RunEvent | Reset]:
    """Everything that is still to come."""
    return [item async for item in watch]


async def test_acked_client_continues_in_another_process(server: LiveServer, model: GatedModel) -> None:
    """What a named client has handled is not given to it again when it comes back without a cursor."""
    async with RunClient(server.url, server.token) as client:
        run = await client.start_run(["ba_consultant"])
        async with client.watch(run.id, client_id="ci") as watch:
            assert (await anext(watch)).id == 1
            assert (await anext(watch)).id == 2
            await ack_kept(server, run.id, "ci")
        model.finish("ba_consultant")
        async with client.watch(run.id, client_id="ci") as watch:
            assert (await anext(watch)).id == 2


async def ack_kept(server: LiveServer, run_id: str, client_id: str) -> None:
    """Return when the server has stored an ack of that client."""
    user = server.home.user
    for _ in range(500):
        if await server.home.backend.log.get_ack(RunKey(user.tenant, run_id), user.id, client_id) is not None:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("no ack was stored")


async def test_run_that_may_not_be_watched_raises(server: LiveServer) -> None:
    """An unknown run, and a role that may not watch, are told apart, on either transport."""
    run_id = await server.start_run(["ba_consultant"])
    for role, run, expected in [
        ("owner", NOBODYS_RUN, RunNotFoundError),
        ("viewer", run_id, ForbiddenError),
        (None, run_id, ForbiddenError),
    ]:
        token = await server.user_with_role(role, f"{role}@localhost")
        for transport in Transport:
            async with RunClient(server.url, token, transports=[transport]) as client:
                with pytest.raises(expected):
                    await anext(client.watch(run, max_wait_s=10))


async def test_token_that_is_wrong_raises(server: LiveServer) -> None:
    """Without a valid token a watch and a request both say so at once; a new token helps."""
    run_id = await server.start_run(["ba_consultant"])
    for transport in Transport:
        async with RunClient(server.url, "wrong", transports=[transport]) as client:
            with pytest.raises(NotAuthenticatedError):
                await anext(client.watch(run_id, max_wait_s=10))
            with pytest.raises(NotAuthenticatedError):
                await client.agents()
            client.token = server.token
            assert client.token == server.token
            assert (await anext(client.watch(run_id))).id == 1


async def test_every_request_answers_in_its_type(server: LiveServer, model: GatedModel) -> None:
    """Catalogue, project, documents, run and artifacts are reached without knowing any address but the server's."""
    async with RunClient(server.url + "/", server.token) as client:
        assert client.url == server.url
        assert [agent.agent_type for agent in await client.agents()] == ALL_AGENTS
        assert [project.role for project in await client.projects()] == ["owner"]
        assert (await client.upload("notes/ümlaut.md", "# Notes\n\nIt MUST work.\n")).version == 1
        documents = await client.documents()
        assert [document.path for document in documents] == ["docs/spec.md", "notes/ümlaut.md"]
        assert (await client.get_document(documents[1].id)).content == "# Notes\n\nIt MUST work.\n"
        wanted = str(uuid4())
        run = await client.start_run(["ba_consultant"], pipeline_mode="parallel", run_id=wanted)
        assert (run.id, run.pipeline_mode) == (wanted, "parallel")
        model.finish("ba_consultant")
        assert [item async for item in client.watch(run.id)][-1].payload["all_done"] is True
        assert (await client.get_run(run.id)).status == "completed"
        (artifact,) = await client.list_artifacts(run.id)
        assert "Coverage" in str((await client.get_artifact(artifact.id)).content)
        with pytest.raises(RunNotFoundError):
            await client.get_run(NOBODYS_RUN)
        with pytest.raises(ServerRefusedError) as caught:
            await client.start_run(["nobody"])
        assert (caught.value.code, caught.value.status) == ("INVALID_AGENT_TYPE", 400)
