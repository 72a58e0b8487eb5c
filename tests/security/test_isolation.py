"""Tenants on one server, and projects in one tenant: nothing of the one is ever reachable from the other."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import websockets
from live import LiveServer
from raw_peer import raw_http
from routes import Route, http_routes
from seeded import AGENT
from two_tenants import SAME_PATH, Party, settle

from realtime.events import RunKey

BODIES: Mapping[Route, dict[str, Any]] = {
    ("POST", "/api/v1/projects/{project_id}/agent-runs"): {"agents_selected": [AGENT]},
    ("POST", "/api/v1/projects/{project_id}/documents"): {"path": SAME_PATH, "content": "# Mine now\n"},
}
"""What a thief asks for where an endpoint wants a body."""


class Thief:
    """Somebody who asks with what is not theirs; everything that they are answered is kept."""

    def __init__(self, party: Party, http: httpx2.AsyncClient) -> None:
        self.party = party
        self.heard: list[str] = []
        self._http = http

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Status and body of the answer."""
        answer = await self._http.request(
            method, path, headers=self.party.headers | options.pop("headers", {}), **options
        )
        self.heard += [str(answer.headers), answer.text]
        return answer.status_code, answer.text

    def heard_nothing_of(self, victim: Party, *, but: frozenset[str] = frozenset()) -> None:
        """Fail where any answer tells of the victim more than what was asked with: the thief's own, and ``but``."""
        secrets = victim.secrets() - self.party.secrets() - but
        assert {secret for secret in secrets for text in self.heard if secret in text} == set()


@pytest.fixture
async def thief(server: LiveServer) -> AsyncIterator[Thief]:
    """An owner in a tenant of their own."""
    party = await settle(server, "globex")
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as http:
        yield Thief(party, http)


@pytest.fixture
async def victim(server: LiveServer) -> Party:
    """An owner in another tenant."""
    return await settle(server, "acme")


@pytest.fixture
async def twin(server: LiveServer, thief: Thief) -> Party:
    """An owner in another tenant, whose run has the same id as the thief's."""
    return await settle(server, "acme", run_id=thief.party.run_id)


def stolen(path: str, mine: Party, theirs: Party) -> Iterator[dict[str, str]]:
    """Every mix of own and foreign ids for the parameters of a path, but for the one that is all one's own."""
    names = re.findall(r"{(\w+)}", path)
    for mix in itertools.product((mine, theirs), repeat=len(names)):
        if theirs in mix:
            yield {name: owner.ids[name] for name, owner in zip(names, mix, strict=True)}


async def test_every_endpoint_answers_for_foreign_ids_as_for_absent_ones(
    server: LiveServer, thief: Thief, victim: Party
) -> None:
    """Each way to name something of another tenant is 404, word for word as for an id that nobody has."""
    tried = 0
    for method, path in sorted(http_routes(server)):
        if "_id}" not in path:
            continue
        for ids in stolen(path, thief.party, victim):
            absent = {name: str(uuid4()) if given == victim.ids[name] else given for name, given in ids.items()}
            body = BODIES.get((method, path))
            answer = await thief.ask(method, path.format(**ids), json=body)
            assert answer[0] == 404, (method, path, answer)
            assert answer == await thief.ask(method, path.format(**absent), json=body), (method, path)
            tried += 1
    assert tried >= 20
    thief.heard_nothing_of(victim)


async def test_foreign_ids_in_a_query_select_nothing(thief: Thief, victim: Party) -> None:
    """``before`` and ``run_id`` of another tenant's run are answered as for a run that nobody has."""
    project = f"/api/v1/projects/{thief.party.project_id}"
    for path, name in (("agent-runs", "before"), ("artifacts", "run_id")):
        answers = [
            await thief.ask("GET", f"{project}/{path}", params={name: run_id})
            for run_id in (victim.run_id, str(uuid4()))
        ]
        assert answers[0] == answers[1]
        assert list(json.loads(answers[0][1]).values()) == [[]]
    thief.heard_nothing_of(victim)


async def test_lists_and_pages_hold_only_ones_own(thief: Thief, victim: Party) -> None:
    """Whatever needs no foreign id shows no foreign thing."""
    own = thief.party.project_id
    for path in (
        "/",
        "/api/v1/projects",
        f"/projects/{own}",
        f"/projects/{own}/artifacts",
        *(f"/api/v1/projects/{own}/{what}" for what in ("documents", "agent-runs", "artifacts")),
    ):
        assert (await thief.ask("GET", path))[0] in {200, 303}, path
    assert any(thief.party.marker in text for text in thief.heard)
    thief.heard_nothing_of(victim)


async def test_same_chosen_run_id_starts_a_run_in_each_tenant(thief: Thief, victim: Party) -> None:
    """Neither is told that the id is taken; each gets, and keeps, a run of its own."""
    run_id = str(uuid4())
    body = {"agents_selected": [AGENT], "run_id": run_id}
    runs = []
    async with httpx2.AsyncClient(base_url=victim.server.url, timeout=30) as http:
        for who in (thief, Thief(victim, http)):
            path = f"/api/v1/projects/{who.party.project_id}/agent-runs"
            started = await who.ask("POST", path, json=body)
            shown = await who.ask("GET", f"{path}/{run_id}")
            assert (started[0], shown[0]) == (201, 200)
            runs.append(json.loads(shown[1]))
    assert [run["id"] for run in runs] == [run_id, run_id]
    assert [run["project_id"] for run in runs] == [thief.party.project_id, victim.project_id]
    assert runs[0]["steps"][0]["id"] != runs[1]["steps"][0]["id"]
    thief.heard_nothing_of(victim)


async def test_document_of_the_same_path_is_another_one(thief: Thief, victim: Party) -> None:
    """A new version in one tenant leaves the other's document at its first."""
    path = f"/api/v1/projects/{thief.party.project_id}/documents"
    added = await thief.ask("POST", path, json={"path": SAME_PATH, "content": "# Second\n"})
    assert json.loads(added[1])["documents"][0]["version"] == 2
    (theirs,) = await victim.server.home.backend.runs.list_documents(victim.user.tenant, victim.project_id)
    assert (theirs.id, theirs.version) == (victim.document_id, 1)
    thief.heard_nothing_of(victim)


async def test_stolen_cursor_is_a_cursor_into_ones_own_log(thief: Thief, twin: Party) -> None:
    """A cursor of the twin's longer log is ahead of one's own: a reset to one's own state, on both streams."""
    await twin.progress("a", "b", "c")
    head = 3
    path = f"/api/v1/events/agent-runs/{twin.run_id}"
    for headers, query in (({"Last-Event-ID": "6"}, ""), ({}, "?last_event_id=6")):
        async with raw_http(twin.server.url, path + query, {**thief.party.headers, **headers}) as stream:
            assert stream.status == 200
            first = await stream.event()
            assert first is not None
            assert first.data["payload"]["reset"] == {"reason": "cursor_ahead_of_log", "cursor": head}
            events = [first]
            while (events[-1].id or 0) < head:
                event = await stream.event()
                assert event is not None
                events.append(event)
            thief.heard += [event.raw.decode() for event in events]
    async with thief.party.socket() as socket:
        answer = await socket.ask({"op": "subscribe", "run_id": twin.run_id, "last_event_id": 6})
        assert (answer["op"], answer["cursor"], answer["reason"]) == ("reset", head, "cursor_ahead_of_log")
        thief.heard.append(json.dumps(answer))
    assert thief.party.marker in thief.heard[-1]
    thief.heard_nothing_of(twin)


async def test_stolen_client_id_gives_nothing(thief: Thief, twin: Party) -> None:
    """An ack belongs to tenant, run and user: the same client_id of another tenant, or of a colleague, is new."""
    accounts = twin.server.home.store.accounts
    record = await accounts.ensure_user(twin.user.tenant, "colleague@example.org")
    await accounts.set_member(twin.user.tenant, twin.project_id, record.id, "admin")
    colleague = type(twin.user)(tenant=twin.user.tenant, id=record.id, email=record.email)
    subscribe = {"op": "subscribe", "run_id": twin.run_id, "client_id": "laptop"}
    async with twin.socket() as socket:
        await socket.ask(subscribe)
        await socket.events_until(3)
        assert (await socket.ask({"op": "ack", "run_id": twin.run_id, "event_id": 3}))["op"] == "acked"
        assert (await socket.ask({"op": "unsubscribe", "run_id": twin.run_id}))["op"] == "unsubscribed"
    for token in (thief.party.token, twin.server.tokens.issue(colleague, 600)):
        async with twin.server.socket(additional_headers={"Authorization": f"Bearer {token}"}) as socket:
            answer = await socket.ask(subscribe)
            assert (answer["op"], answer["cursor"], answer["resumed"]) == ("subscribed", 0, False)
            await socket.events_until(1)
            assert (await socket.ask({"op": "ack", "run_id": twin.run_id, "event_id": 1}))["op"] == "acked"
            assert (await socket.ask({"op": "unsubscribe", "run_id": twin.run_id}))["op"] == "unsubscribed"
    log = twin.server.home.backend.log
    kept = {
        user: await log.get_ack(RunKey(user.tenant, twin.run_id), user.id, "laptop")
        for user in (twin.user, colleague)
    }
    assert kept == {twin.user: 3, colleague: 1}
    assert await log.get_ack(RunKey(thief.party.user.tenant, twin.run_id), twin.user.id, "laptop") is None


async def test_every_op_answers_for_a_foreign_run_as_for_an_absent_one(thief: Thief, victim: Party) -> None:
    """Subscribing, with any cursor or client, is RUN_NOT_FOUND; there is nothing to ack or to leave."""
    async with victim.socket() as owner, thief.party.socket() as socket:
        await owner.ask({"op": "subscribe", "run_id": victim.run_id, "client_id": "laptop"})
        for command, code in (
            ({"op": "subscribe"}, "RUN_NOT_FOUND"),
            ({"op": "subscribe", "last_event_id": 1}, "RUN_NOT_FOUND"),
            ({"op": "subscribe", "last_event_id": "x"}, "RUN_NOT_FOUND"),
            ({"op": "subscribe", "from": "now"}, "RUN_NOT_FOUND"),
            ({"op": "subscribe", "client_id": "laptop"}, "RUN_NOT_FOUND"),
            ({"op": "ack", "event_id": 1}, "NOT_SUBSCRIBED"),
            ({"op": "unsubscribe"}, "NOT_SUBSCRIBED"),
        ):
            absent = str(uuid4())
            answers = [await socket.ask({**command, "run_id": run_id}) for run_id in (victim.run_id, absent)]
            thief.heard += map(json.dumps, answers)
            assert (answers[0]["op"], answers[0]["code"]) == ("error", code)
            assert {**answers[0], "run_id": absent} == answers[1]
        await owner.ask({"op": "watch_project", "project_id": victim.project_id})
        for op, code in (("watch_project", "PROJECT_NOT_FOUND"), ("unwatch_project", "NOT_SUBSCRIBED")):
            absent = str(uuid4())
            answers = [await socket.ask({"op": op, "project_id": each}) for each in (victim.project_id, absent)]
            thief.heard += map(json.dumps, answers)
            assert (answers[0]["op"], answers[0]["code"]) == ("error", code)
            assert {**answers[0], "project_id": absent} == answers[1]
        thief.heard.append(
            json.dumps(await socket.ask({"op": "watch_project", "project_id": thief.party.project_id}))
        )
        await victim.progress("goes on")
        assert (await socket.ask({"op": "ping"}))["op"] == "pong"
    thief.heard_nothing_of(victim, but=frozenset({victim.run_id, victim.project_id}))


async def test_connection_cannot_be_turned_into_another_tenants(thief: Thief, twin: Party) -> None:
    """A token of somebody else, even a valid one, ends a connection that already speaks for one tenant's user."""
    async with thief.party.socket() as socket:
        await socket.ask({"op": "subscribe", "run_id": twin.run_id})
        await socket.events_until(3)
        answer = await socket.ask({"op": "authenticate", "token": twin.token})
        assert (answer["code"], answer["fatal"]) == ("FORBIDDEN", True)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


async def watch_socket(party: Party, ready: asyncio.Event) -> list[str]:
    """What the party's viewer is sent over WebSocket until the run ends."""
    seen = []
    async with party.socket() as socket:
        seen.append(json.dumps(await socket.ask({"op": "subscribe", "run_id": party.run_id})))
        ready.set()
        seen += [json.dumps(event) for event in await socket.events_until()]
    return seen


async def watch_stream(party: Party, ready: asyncio.Event) -> list[str]:
    """What the party's viewer is sent over SSE until the run ends."""
    seen = []
    async with raw_http(party.server.url, f"/api/v1/events/agent-runs/{party.run_id}", party.headers) as stream:
        ready.set()
        while (event := await stream.event()) is not None:
            seen.append(event.raw.decode())
    return seen


async def test_viewers_of_the_same_run_id_get_only_their_own_events(thief: Thief, twin: Party) -> None:
    """Both runs are live at once, event by event in turn, watched over both streams: each viewer sees one log."""
    parties = (thief.party, twin)
    ready = [asyncio.Event() for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        watching = [
            group.create_task(watch(party, known))
            for known, (party, watch) in zip(
                ready, itertools.product(parties, (watch_socket, watch_stream)), strict=True
            )
        ]
        for known in ready:
            await known.wait()
        for number in range(10):
            for party in parties:
                await party.progress(f"step {number}")
        for party in parties:
            await party.finish()
    owners = [(thief.party, twin)] * 2 + [(twin, thief.party)] * 2
    for (party, other), task in zip(owners, watching, strict=True):
        seen = "".join(task.result())
        assert [seen.count(f"{party.marker} step {number}") for number in range(10)] == [1] * 10
        assert {secret for secret in other.secrets() - party.secrets() if secret in seen} == set()


async def test_project_without_membership_is_403_and_tells_nothing(server: LiveServer, thief: Thief) -> None:
    """Another project of one's own tenant is forbidden as a whole; what is in it is absent from one's own project."""
    neighbour = await settle(server, thief.party.user.tenant, project="other")
    for method, path in sorted(http_routes(server)):
        if "_id}" not in path:
            continue
        for ids in stolen(path, thief.party, neighbour):
            own_project = ids.get("project_id") == thief.party.project_id
            status, text = await thief.ask(method, path.format(**ids), json=BODIES.get((method, path)))
            assert status == (404 if own_project else 403), (method, path, ids, text)
    async with thief.party.socket() as socket:
        answer = await socket.ask({"op": "subscribe", "run_id": neighbour.run_id, "client_id": "laptop"})
        watch = await socket.ask({"op": "watch_project", "project_id": neighbour.project_id})
        thief.heard += [json.dumps(answer), json.dumps(watch)]
        assert answer["op"] == watch["op"] == "error"
        assert answer["code"] == watch["code"] == "FORBIDDEN"
    thief.heard_nothing_of(neighbour, but=frozenset({neighbour.run_id, neighbour.project_id}))
