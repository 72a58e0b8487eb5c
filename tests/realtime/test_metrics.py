"""What is counted, where it can be read, and whether the server says rightly that it is ready."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx2
import msgspec
import pytest
from live import GatedModel, LiveServer, live_server
from metric_values import count, counted, labelled, values
from raw_peer import raw_http
from seeded import all_gone, seed_run

from orchestrator.errors import ModelError
from orchestrator.runner import MOST_TAKEOVERS
from realtime import __version__, readiness
from realtime.readiness import Readiness
from realtime.server import Running, ServerError

BA, QA = "ba_consultant", "qa_consultant"


def metrics_url(server: LiveServer) -> str:
    """Where the server says its metrics are."""
    running = msgspec.json.decode((server.home.settings.home / "server.json").read_bytes(), type=Running)
    assert running.metrics_url is not None
    return running.metrics_url


async def test_metrics_are_served_on_their_own_address_only(tmp_path: Path) -> None:
    """The main port knows no /metrics; the metrics port knows nothing else, and only reading."""
    async with live_server(tmp_path, metrics_port=0, with_document=False) as server, httpx2.AsyncClient() as http:
        url = metrics_url(server)
        base = url.removesuffix("/metrics")
        assert base != server.url
        assert (await server.http.get("/metrics")).status_code == 404
        answer = await http.get(url)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert values(answer.text)["runcast_build_info", (__version__,)] == 1
        head = await http.head(url)
        assert (head.status_code, head.content) == (200, b"")
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            refused = await http.request(method, url)
            assert (refused.status_code, refused.json()["error"]) == (405, "METHOD_NOT_ALLOWED"), method
        for path in ("/", "/healthz", "/api/v1/agents", "/metrics/", "/static/run-client.js"):
            missing = await http.get(base + path, headers={"Accept": "text/html"})
            assert (missing.status_code, missing.json()["error"]) == (404, "NOT_FOUND"), path
        assert missing.headers["X-Content-Type-Options"] == "nosniff"


async def test_metrics_port_is_closed_with_the_server(tmp_path: Path) -> None:
    """With the server its metrics end, also where somebody keeps a connection open; the port is free at once."""
    async with httpx2.AsyncClient() as http:
        async with live_server(tmp_path, metrics_port=0, with_document=False) as server:
            url = httpx2.URL(metrics_url(server))
            await http.get(url)
        with pytest.raises(httpx2.ConnectError):
            await http.get(url)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((url.host, url.port))


async def test_metrics_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """A metrics address that cannot be listened on ends the start with its name, before anything is served."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"cannot listen on 127.0.0.1 port {port}"):
            async with live_server(tmp_path, metrics_port=port):
                pass


async def test_metrics_are_served_while_the_server_drains(tmp_path: Path) -> None:
    """The end of a server can be watched: /metrics answers when viewers have been told to leave."""
    async with live_server(tmp_path, metrics_port=0, with_document=False) as server, httpx2.AsyncClient() as http:
        await server.home.backend.broadcaster.drain()
        assert (await http.get(metrics_url(server))).status_code == 200


async def test_requests_are_counted_by_method_and_status(tmp_path: Path) -> None:
    """Each answer counts once, streams when they begin; a method that nobody knows is called other."""
    async with live_server(tmp_path, with_document=False) as server:
        run = await seed_run(server)
        await server.http.get("/api/v1/agents")
        await server.http.get("/api/v1/agents", headers={"Authorization": "Bearer nonsense"})
        await server.http.request("BREW", "/api/v1/agents")
        async with raw_http(server.url, f"/api/v1/events/agent-runs/{run.id}", server.headers) as stream:
            assert await stream.event() is not None
            assert count(server, "requests_total", "GET", "200") == 2
            assert count(server, "connections", "sse") == 1
            assert count(server, "subscriptions") == 1
        assert count(server, "requests_total", "GET", "401") == 1
        assert count(server, "requests_total", "other", "405") == 1
        assert count(server, "request_duration_seconds_count", "GET") == 3
        await all_gone(server)


async def test_sockets_are_counted_open_and_closed(tmp_path: Path) -> None:
    """An open connection stands in the gauge; who ends it says how its end is counted."""
    async with live_server(tmp_path, with_document=False) as server:
        async with server.socket() as watcher:
            assert count(server, "connections", "websocket") == 1
            answer = await watcher.ask({"op": "unsubscribe", "run_id": "5b9c1e5e-0000-4000-8000-000000000000"})
            assert answer["code"] == "NOT_SUBSCRIBED"
            assert count(server, "frames_refused_total", "NOT_SUBSCRIBED") == 1
        await all_gone(server)
        async with asyncio.timeout(30):
            while count(server, "connections", "websocket"):
                await asyncio.sleep(0.002)
        assert count(server, "websocket_closes_total", "client") == 1


async def test_every_way_a_run_ends_is_counted(tmp_path: Path) -> None:
    """By its outcome, once; all outcomes are there from the start."""
    model = GatedModel()
    async with live_server(tmp_path, model, monthly_tokens=150, retry_delays_s=()) as server:
        codes = ("STEP_FAILED", "CANCELLED", "BUDGET_EXCEEDED")
        none = dict.fromkeys(("completed", *codes, "INTERRUPTED", "other"), 0.0)
        assert labelled(server, "runs_ended_total") == none
        await server.start_run([QA])
        model.fail(QA, ModelError("no answer", permanent=True))
        await counted(server, 1, "runs_ended_total", "STEP_FAILED")
        run_id = await server.start_run([BA])
        await server.http.post(f"{server.project}/agent-runs/{run_id}/cancel")
        await counted(server, 1, "runs_ended_total", "CANCELLED")
        await server.start_run([BA])
        model.finish(BA)
        await counted(server, 1, "runs_ended_total", "completed")
        await server.start_run([QA, BA])
        model.finish(QA)
        await counted(server, 1, "runs_ended_total", "BUDGET_EXCEEDED")
        assert labelled(server, "runs_ended_total") == {**none, "completed": 1, **dict.fromkeys(codes, 1)}
        assert count(server, "takeovers_total") == 0


async def test_runs_taken_over_and_given_up_are_counted(tmp_path: Path) -> None:
    """A server that finds runs of lost workers counts each once, and how it ends: one goes on, one is given up."""
    model = GatedModel()
    async with live_server(tmp_path, model) as server:
        lost, hopeless = await seed_run(server), await seed_run(server)
        for number in range(MOST_TAKEOVERS):
            await server.home.store.runs.claim_run(*hopeless.key, f"lost-{number}", seize=True)
        assert count(server, "takeovers_total") == 0
    async with live_server(tmp_path, model, with_document=False) as server:
        await counted(server, 1, "runs_ended_total", "INTERRUPTED")
        model.finish(BA)
        await counted(server, 1, "runs_ended_total", "completed")
        assert count(server, "takeovers_total") == 2
        assert (await server.snapshot(lost.id))["status"] == "completed"


async def test_no_series_has_a_label_per_run_tenant_or_user(tmp_path: Path) -> None:
    """After traffic of every kind the labels are still those few that cannot grow."""
    async with live_server(tmp_path, user_requests_per_s=5, with_document=False) as server:
        run = await seed_run(server)
        async with server.socket() as watcher:
            await watcher.ask({"op": "subscribe", "run_id": run.id})
        for number in range(12):
            await server.http.get(f"/api/v1/projects/{number}")
        text = server.home.backend.metrics.render().decode()
        names = {
            name
            for line in text.splitlines()
            if line.startswith("runcast_") and "{" in line
            for name in (part.split("=")[0] for part in line[line.index("{") + 1 : line.rindex("}")].split(","))
        }
        assert names <= {
            *("transport", "method", "status", "quota", "scope", "reason", "code", "kind", "version", "le"),
            *("agent_type", "outcome"),
        }
        for secret in (run.id, server.home.user.tenant, server.home.user.id, server.home.user.email):
            assert f'"{secret}"' not in text


async def test_two_servers_in_one_process_count_apart(tmp_path: Path) -> None:
    """Every server has its own series."""
    async with (
        live_server(tmp_path / "one", with_document=False) as one,
        live_server(tmp_path / "two", with_document=False) as two,
    ):
        await one.http.get("/api/v1/agents")
        assert count(one, "requests_total", "GET", "200") == 1
        assert count(two, "requests_total", "GET", "200") == 0


async def test_readiness_follows_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready, unavailable while the store is closed, draining: each with its word, and the gauge beside it."""
    monkeypatch.setattr(readiness, "FRESH_S", 0.0)
    async with live_server(tmp_path, with_document=False) as server:
        health = await server.http.get("/healthz")
        assert (health.status_code, health.json()) == (200, {"status": "ok", "version": __version__})
        ready = await server.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        assert count(server, "store_available") == 1
        await server.home.store.close()
        unavailable = await server.http.get("/readyz")
        assert (unavailable.status_code, unavailable.json()) == (503, {"status": "unavailable"})
        assert count(server, "store_available") == 0
        assert (await server.http.get("/healthz")).status_code == 200
        await server.home.backend.broadcaster.drain()
        draining = await server.http.get("/readyz")
        assert (draining.status_code, draining.json()) == (503, {"status": "draining"})


class SlowStore:
    """A store whose answer waits for the test."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def is_available(self) -> bool:
        """Answer when the test does."""
        self.asked += 1
        return await asyncio.shield(self.answer)


async def test_readiness_asks_once_for_everybody() -> None:
    """However many ask at once or within a second, the store is asked once; one that gives up takes nobody along."""
    store, told = SlowStore(), list[bool]()
    ready = Readiness(store.is_available, told.append)
    asking = [asyncio.create_task(ready.is_available()) for _ in range(100)]
    await asyncio.sleep(0)
    asking[0].cancel()
    store.answer.set_result(True)
    assert await asyncio.gather(*asking[1:]) == [True] * 99
    assert await ready.is_available()
    assert (store.asked, told) == (1, [True])


async def test_readiness_of_a_store_that_does_not_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is silent, or fails, is not available; that is known in bounded time and asked again later."""
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.01)
    monkeypatch.setattr(readiness, "FRESH_S", 0.0)
    store, told = SlowStore(), list[bool]()
    ready = Readiness(store.is_available, told.append)
    assert not await ready.is_available()
    store.answer.set_exception(RuntimeError("no store"))
    assert not await ready.is_available()
    store.answer = asyncio.get_running_loop().create_future()
    store.answer.set_result(True)
    assert await ready.is_available()
    assert told == [False, False, True]
