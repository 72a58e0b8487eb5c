"""Two server processes on one PostgreSQL database: whoever works on a run, it is watched and cancelled at either."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from live import ALL_AGENTS
from process_stage import payload, read_socket, read_stream, socket_of, start_run, stream_of, until
from server_process import ServerProcess, server_process

BA, QA, AUTOMATION = ALL_AGENTS
SECRET = "one secret for both servers, of 32 bytes or more"


class Pair:
    """Where two servers have their homes, their database, and the gates of their agents."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder = folder
        self._database_url = database_url

    @contextlib.asynccontextmanager
    async def server(self, name: str, **settings: object) -> AsyncIterator[ServerProcess]:
        """The server of that name, started."""
        gates = self._folder / "gates"
        gates.mkdir(exist_ok=True)
        shared = {"gates": gates, "secret": SECRET, **settings}
        async with server_process(self._folder / name, self._database_url, **shared) as process:
            yield process


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str) -> Pair:
    """Two servers to be started."""
    return Pair(tmp_path, postgres_url)


async def ask(process: ServerProcess, method: str, path: str, **options: Any) -> dict[str, Any]:
    """What a server answers under the project's runs."""
    async with httpx2.AsyncClient(base_url=process.url, headers=process.headers, timeout=10) as http:
        answer = await http.request(method, f"/api/v1/projects/{process.project}/agent-runs{path}", **options)
        assert answer.status_code < 300, answer.text
        return dict(answer.json())


async def status_becomes(process: ServerProcess, run_id: str, status: str) -> None:
    """Return when the run has that status."""
    async with asyncio.timeout(20):
        while (await ask(process, "GET", f"/{run_id}"))["status"] != status:
            await asyncio.sleep(0.02)


async def test_run_of_one_server_is_watched_at_the_other_without_a_gap(pair: Pair) -> None:
    """From before its first result to its end: sockets and streams at both servers get equal bytes, ids 1 to n."""
    async with pair.server("one") as one:
        run_id = await start_run(one)
        await status_becomes(one, run_id, "running")
        async with pair.server("two") as two, contextlib.AsyncExitStack() as viewers:
            by_socket: list[list[str]] = [[], []]
            by_stream: list[list[bytes]] = [[], []]
            reading = []
            for index, server in enumerate((one, two)):
                connection = await viewers.enter_async_context(socket_of(server, run_id))
                stream = await viewers.enter_async_context(stream_of(server, run_id))
                reading += [read_socket(connection, by_socket[index]), read_stream(stream, by_stream[index])]
            tasks = [asyncio.ensure_future(one_viewer) for one_viewer in reading]
            await until(lambda: all(len(seen) >= 4 for seen in (*by_socket, *by_stream)))
            for agent in ALL_AGENTS:
                one.release(agent)
            await asyncio.gather(*tasks)
    assert by_socket[0] == by_socket[1]
    assert by_stream[0] == by_stream[1]
    events = [json.loads(text) for text in by_socket[1]]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert [payload(text) for text in by_socket[1]] == [payload(raw.decode().strip()) for raw in by_stream[1]]
    assert {event["payload"]["attempt"] for event in events if event["type"] == "running"} == {1}
    assert events[-1]["payload"]["all_done"]
    assert "error" not in events[-1]["payload"]


async def test_cancel_at_the_other_server_interrupts_the_agent_within_two_seconds(pair: Pair) -> None:
    """Viewers at both get the terminal event; the room that the agent had is given to a run that waited for it."""
    async with pair.server("one", max_runs_at_once=1) as one:
        run_id = await start_run(one)
        await status_becomes(one, run_id, "running")
        waiting = await ask(one, "POST", "", json={"agents_selected": [QA]})
        async with pair.server("two", max_runs_at_once=1) as two:
            await status_becomes(two, waiting["id"], "running")  # there is no room for it but at the second server
            last = await ask(one, "POST", "", json={"agents_selected": [AUTOMATION]})
            seen: list[list[str]] = [[], []]
            async with socket_of(one, run_id) as at_one, socket_of(two, run_id) as at_two:
                viewers = [
                    asyncio.ensure_future(read_socket(at_one, seen[0])),
                    asyncio.ensure_future(read_socket(at_two, seen[1])),
                ]
                await until(lambda: all(len(events) >= 4 for events in seen))
                async with asyncio.timeout(6):
                    cancelled = await ask(two, "POST", f"/{run_id}/cancel")
                    await asyncio.gather(*viewers)
            await status_becomes(one, last["id"], "running")
            assert (await ask(two, "GET", f"/{waiting['id']}"))["status"] == "running"
    assert (cancelled["status"], cancelled["error_code"]) == ("cancelled", "CANCELLED")
    assert seen[0] == seen[1]
    ended = json.loads(seen[0][-1])["payload"]
    assert (ended["all_done"], ended["cancelled_by"]) == (True, cancelled["cancelled_by"])


async def test_cancel_of_a_frozen_servers_run_is_its_end(pair: Pair) -> None:
    """Viewers at the other get the end within two seconds; the one that worked on it, thawed, tells it as well."""
    async with contextlib.AsyncExitStack() as servers:
        one = await servers.enter_async_context(pair.server("one"))
        run_id = await start_run(one)
        await status_becomes(one, run_id, "running")
        two = await servers.enter_async_context(pair.server("two"))
        seen: list[list[str]] = [[], []]
        async with socket_of(one, run_id) as at_one, socket_of(two, run_id) as at_two:
            viewers = [
                asyncio.ensure_future(read_socket(at_one, seen[0])),
                asyncio.ensure_future(read_socket(at_two, seen[1])),
            ]
            await until(lambda: all(len(events) >= 4 for events in seen))
            one.freeze()
            try:
                async with asyncio.timeout(6):
                    cancelled = await ask(two, "POST", f"/{run_id}/cancel")
                    await viewers[1]
                one.release(*ALL_AGENTS)
            finally:
                one.thaw()
            await viewers[0]
        assert seen[0] == seen[1]
        assert (await ask(one, "GET", f"/{run_id}"))["last_event_id"] == cancelled["last_event_id"] == len(seen[1])


async def test_server_that_ends_leaves_its_run_to_the_other(pair: Pair) -> None:
    """A run handed back by SIGTERM is taken up at once by the other, where its viewer just stays."""
    async with pair.server("one") as one:
        run_id = await start_run(one)
        await status_becomes(one, run_id, "running")
        async with pair.server("two") as two, socket_of(two, run_id) as connection:
            seen: list[str] = []
            reading = asyncio.ensure_future(read_socket(connection, seen))
            await until(lambda: len(seen) >= 4)
            assert await one.terminate() == 0
            await until(lambda: '"attempt":2' in seen[-1])
            two.release(*ALL_AGENTS)
            await reading
    events = [json.loads(text) for text in seen]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert "error" not in events[-1]["payload"]
