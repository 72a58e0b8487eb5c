"""Watching a project over a real connection: its runs as they are, then each change, to everybody who may know."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import websockets
from live import ALL_AGENTS, GatedModel, LiveServer, LiveSocket, live_server
from metric_values import count
from raw_peer import RawSocket, raw_socket
from seeded import SeededRun, all_gone, seed_run

from orchestrator.errors import StoreError
from realtime import board
from realtime.snapshot import summarise

Frame = dict[str, Any]


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested is that there is a pause, not that it is a second."""
    monkeypatch.setattr(board, "PAUSE_S", 0.05)


def watch(server: LiveServer, **more: Any) -> Frame:
    """The command to watch the local project, or another ``op`` about it."""
    return {"op": "watch_project", "project_id": server.home.project_id, **more}


async def summaries(server: LiveServer) -> list[Frame]:
    """What a list of the project's newest runs shows, read now."""
    runs = await server.home.backend.runs.list_runs(server.home.user.tenant, server.home.project_id, 20, None)
    return [json.loads(msgspec.json.encode(summarise(run))) for run in runs]


async def runs_until(socket: LiveSocket, done: Callable[[Frame], bool]) -> list[Frame]:
    """The summaries told one by one, up to the first for which ``done``."""
    told: list[Frame] = []
    while not told or not done(told[-1]):
        frame = await socket.receive()
        assert (frame["op"], frame["project_id"]) == ("run", frame["run"]["project_id"])
        told.append(frame["run"])
    return told


async def close_code(socket: LiveSocket) -> int | None:
    """The code with which the server closes; nothing comes before that."""
    with pytest.raises(websockets.ConnectionClosed) as closed:
        await socket.receive()
    return closed.value.rcvd.code if closed.value.rcvd else None


async def nothing_is_left(server: LiveServer) -> None:
    """Return when nobody watches anything, and nothing is held for it."""
    await all_gone(server)
    async with asyncio.timeout(30):
        while len(server.home.backend.board) or server.home.backend.quotas.subscriptions.taken:
            await asyncio.sleep(0.002)
    assert count(server, "projects_watched") == 0


async def test_watch_shows_what_is_then_every_change_to_the_end(server: LiveServer, model: GatedModel) -> None:
    """The runs there are, newest first; then a new run, its progress and its end, in order, as REST shows them."""
    for _ in range(21):
        await seed_run(server)
    async with server.socket() as socket:
        answer = await socket.ask(watch(server, ref="w"))
        runs = await summaries(server)
        assert answer == {"op": "project", "ref": "w", "project_id": server.home.project_id, "runs": runs}
        assert len(runs) == 20
        run_id = await server.start_run(["ba_consultant", "qa_consultant"])
        told = await runs_until(socket, lambda run: run["status"] == "running")
        model.progress("ba_consultant", 40, "Reading")
        told += await runs_until(socket, lambda run: run["progress_pct"] == 20)
        model.finish(*ALL_AGENTS)
        told += await runs_until(socket, lambda run: run["status"] == "completed")
    assert {run["id"] for run in told} == {run_id}
    ids = [run["last_event_id"] for run in told]
    assert ids == sorted(set(ids))
    assert told[-1] == (await summaries(server))[0]
    assert (told[-1]["progress_pct"], told[-1]["steps_completed"], told[-1]["steps_total"]) == (100, 2, 2)
    await nothing_is_left(server)


async def test_watchers_of_a_project_are_told_the_same_bytes(server: LiveServer) -> None:
    """However many watch, on however many connections: one reading, one encoding, one order."""
    run = await seed_run(server)
    async with server.socket() as one, server.socket() as two:
        sockets = (one, two)
        for socket in sockets:
            assert (await socket.ask(watch(server)))["op"] == "project"
        assert count(server, "projects_watched") == 1
        await run.progress("a")
        await run.finish()
        told: list[list[str]] = [[], []]
        for socket, texts in zip(sockets, told, strict=True):
            while not texts or json.loads(texts[-1])["run"]["status"] != "failed":
                texts.append(str(await socket.connection.recv()))
    assert told[0] == told[1]


async def test_run_that_changes_quickly_is_told_at_once_then_once_in_a_while(server: LiveServer) -> None:
    """A hundred events in a row are a frame for each pause that went by, the first at once, the last state last."""
    run = await seed_run(server)
    async with server.socket() as socket:
        await socket.ask(watch(server))
        begun_at = time.monotonic()
        reading = asyncio.ensure_future(runs_until(socket, lambda told: told["last_event_id"] == 101))
        for number in range(100):
            await run.progress(str(number))
        told = await reading
        pauses = (time.monotonic() - begun_at) / board.PAUSE_S
    assert told[0]["last_event_id"] < 101
    assert len(told) <= 1 + pauses


async def test_run_that_was_not_published_here_is_found(server: LiveServer) -> None:
    """What another process saves, or nobody published, is told once the heads were compared with the store."""
    async with server.socket() as socket:
        await socket.ask(watch(server))
        run = await seed_run(server)
        assert [told["id"] for told in await runs_until(socket, lambda _: True)] == [run.id]
        await run.progress("a", "b", publish=False)
        assert (await runs_until(socket, lambda told: told["last_event_id"] == 3))[-1]["id"] == run.id


async def test_run_of_another_server_is_told(tmp_path: Path, postgres_url: str, model: GatedModel) -> None:
    """Two servers on one database: who watches at the one sees a run of the other begin and end."""
    async with (
        live_server(tmp_path / "one", model, database_url=postgres_url) as one,
        live_server(tmp_path / "two", database_url=postgres_url) as two,
        two.socket() as socket,
    ):
        assert (await socket.ask(watch(two)))["runs"] == []
        model.finish("ba_consultant")
        run_id = await one.start_run(["ba_consultant"])
        told = await runs_until(socket, lambda run: run["status"] == "completed")
    assert {run["id"] for run in told} == {run_id}


async def test_unwatched_project_tells_nothing_more(server: LiveServer) -> None:
    """After ``project_unwatched`` nothing comes and nothing is read; leaving again is NOT_SUBSCRIBED, not fatal."""
    run = await seed_run(server)
    async with server.socket() as socket:
        for ref in ("first", "again"):
            assert (await socket.ask(watch(server, ref=ref)))["ref"] == ref
        assert server.home.backend.quotas.subscriptions.taken == 1
        left = await socket.ask(watch(server, op="unwatch_project", ref=7))
        assert left == {"op": "project_unwatched", "project_id": server.home.project_id, "ref": 7}
        assert_nothing_watched(server)
        await run.progress("a")
        again = await socket.ask(watch(server, op="unwatch_project"))
        assert (again["code"], again["fatal"], again["project_id"]) == ("NOT_SUBSCRIBED", False, left["project_id"])
        await socket.send({"op": "ping"})
        assert (await socket.receive())["op"] == "pong"


def assert_nothing_watched(server: LiveServer) -> None:
    """No watch is left, and no place is held for one."""
    assert (len(server.home.backend.board), server.home.backend.quotas.subscriptions.taken) == (0, 0)


async def test_project_that_is_none_is_refused(server: LiveServer) -> None:
    """An id that is no UUID is BAD_FRAME, one that nobody has PROJECT_NOT_FOUND; the connection stays."""
    absent = str(uuid4())
    async with server.socket() as socket:
        for project_id, code in (("7", "BAD_FRAME"), (None, "BAD_FRAME"), (absent, "PROJECT_NOT_FOUND")):
            answer = await socket.ask({"op": "watch_project", "project_id": project_id, "ref": 1})
            assert (answer["op"], answer["code"], answer["ref"], answer["fatal"]) == ("error", code, 1, False)
        assert answer["project_id"] == absent
        assert_nothing_watched(server)


async def test_role_decides_on_every_watch_and_while_it_lasts(tmp_path: Path) -> None:
    """Who may not stream is FORBIDDEN; whose role is taken away is told so, and no run after that."""
    async with live_server(tmp_path, access_check_s=0.05) as server:
        run = await seed_run(server)
        token = await server.user_with_role("viewer")
        async with server.socket(additional_headers={"Authorization": f"Bearer {token}"}) as socket:
            refused = await socket.ask(watch(server))
            assert (refused["code"], refused["fatal"]) == ("FORBIDDEN", False)
            await server.user_with_role("qa-automation")
            assert (await socket.ask(watch(server)))["op"] == "project"
            await server.user_with_role("viewer")
            ended = await socket.receive()
            assert (ended["op"], ended["code"], ended["fatal"]) == ("error", "FORBIDDEN", False)
            assert ended["project_id"] == server.home.project_id
            assert_nothing_watched(server)
            assert count(server, "access_revoked_total") == 1
            await run.finish()
            assert (await socket.ask({"op": "ping"}))["op"] == "pong"


async def test_runs_and_projects_share_the_limit_of_a_connection(server: LiveServer) -> None:
    """64 together fit, one more of either is TOO_MANY and closes with 4429."""
    runs = await asyncio.gather(*[seed_run(server) for _ in range(64)])
    accounts, user = server.home.store.accounts, server.home.user
    other = await accounts.ensure_project(user.tenant, "other", "Other")
    await accounts.set_member(user.tenant, other.id, user.id, "owner")
    for more in ({"op": "subscribe", "run_id": runs[63].id}, {"op": "watch_project", "project_id": other.id}):
        async with server.socket() as socket:
            for run in runs[:63]:
                assert (await socket.ask({"op": "subscribe", "run_id": run.id}))["op"] == "subscribed"
            for _ in range(2):
                assert (await socket.ask(watch(server)))["op"] == "project"
            answer = await socket.ask(more)
            assert (answer["code"], answer["fatal"]) == ("TOO_MANY", True)
            assert more.items() - answer.items() == {("op", more["op"])}
            assert await close_code(socket) == 4429
        await nothing_is_left(server)


async def test_project_counts_for_the_quota_of_its_user(tmp_path: Path) -> None:
    """Beyond the user's subscriptions a watch is TOO_MANY, on whichever connection; what is left makes room."""
    async with live_server(tmp_path, user_subscriptions=1, with_document=False) as server:
        async with server.socket() as one, server.socket() as two:
            assert (await one.ask(watch(server)))["op"] == "project"
            refused = await two.ask(watch(server, ref="r"))
            assert (refused["code"], refused["fatal"], refused["ref"]) == ("TOO_MANY", True, "r")
            assert refused["project_id"] == server.home.project_id
            assert await close_code(two) == 4429
            await one.ask(watch(server, op="unwatch_project"))
            assert (await one.ask(watch(server)))["op"] == "project"
        await nothing_is_left(server)


async def test_store_that_fails_keeps_what_was_told_and_goes_on_later(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watchers stay and are told the change when it can be read; who joins meanwhile is told to come back."""
    run = await seed_run(server)
    store, failed = server.home.store.runs, asyncio.Event()

    async def refuse(*_: object) -> None:
        failed.set()
        raise StoreError("the database is away")

    async with server.socket() as socket, server.socket() as late:
        await socket.ask(watch(server))
        with monkeypatch.context() as away:
            away.setattr(store, "list_runs", refuse)
            await run.progress("a")
            await failed.wait()
            answer = await late.ask(watch(server, ref="late"))
            assert (answer["code"], answer["ref"], answer["fatal"]) == ("INTERNAL", "late", True)
            assert answer["project_id"] == server.home.project_id
            assert await close_code(late) == 1011
        assert [told["last_event_id"] for told in await runs_until(socket, lambda _: True)] == [2]
    await nothing_is_left(server)


async def test_stalled_watcher_is_skipped_then_shown_the_state(tmp_path: Path) -> None:
    """A connection over its mark gets no run frames, however many changes there are; drained, it gets all at once."""
    async with live_server(tmp_path, stuck_timeout_s=60.0) as server:
        flood, run = await seed_run(server), await seed_run(server)
        async with (
            server.socket() as witness,
            raw_socket(server.ws_url, server.headers, receive_buffer=64 * 1024) as raw,
        ):
            await witness.ask(watch(server))
            await raw.send(watch(server))
            await raw.send({"op": "subscribe", "run_id": flood.id})
            await stall(server, flood)
            for label in ("a", "b", "c"):
                await run.progress(label)
                await runs_until(witness, lambda told: told["id"] == run.id)
            (newest,) = [told for told in await summaries(server) if told["id"] == run.id]
            frames = await frames_until(raw, lambda frame: newest in frame.get("runs", []))
        assert newest["last_event_id"] == 4
        assert [
            frame["run"]["id"] for frame in frames if frame["op"] == "run" and frame["run"]["id"] != flood.id
        ] == []


async def stall(server: LiveServer, flood: SeededRun) -> None:
    """Make so many events of that run that a connection that does not read takes no more."""
    for number in range(20):
        await flood.progress(*[f"{'x' * 20_000}{number} {part}" for part in range(20)])
    async with asyncio.timeout(20):
        while not server.home.backend.broadcaster.counts.lagging:
            await asyncio.sleep(0.002)


async def frames_until(raw: RawSocket, done: Callable[[Frame], bool]) -> list[Frame]:
    """The control frames up to the first for which ``done``."""
    frames: list[Frame] = []
    while not frames or not done(frames[-1]):
        frame = await raw.read_json()
        assert frame is not None
        frames += [frame] if "op" in frame else []
    return frames
