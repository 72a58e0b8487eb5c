"""Live streams follow token and role: who may no longer watch loses what is under way, and is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from live import GatedModel, LiveServer, live_server
from seeded import seed_run

from realtime.access import AccessWatch
from realtime.asgi_outlet import AsgiOutlet
from realtime.endpoints.events import _RunStream
from realtime.ports import Membership
from realtime.subscription import Ending

WITHIN_S = 5.0
"""What is promised."""


@pytest.fixture
async def quick(tmp_path: Path, model: GatedModel) -> AsyncIterator[LiveServer]:
    """A server as it is by default, in how often it looks roles up again."""
    async with live_server(tmp_path / "home", model) as live:
        yield live


async def _set_role(server: LiveServer, email: str, role: str | None) -> None:
    accounts, tenant = server.home.store.accounts, server.home.user.tenant
    user = await accounts.find_user(tenant, email)
    assert user is not None
    if role is None:
        await accounts.remove_member(tenant, server.home.project_id, user.id)
    else:
        await accounts.set_member(tenant, server.home.project_id, user.id, role)


@pytest.mark.parametrize("role", [None, "viewer"])
async def test_lost_role_ends_every_live_stream(quick: LiveServer, role: str | None) -> None:
    """A removed member, and one whose role may not stream, loses WebSocket and SSE alike within the promised time."""
    run = await seed_run(quick)
    token = await quick.user_with_role("qa-automation")
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/api/v1/events/agent-runs/{run.id}"
    async with (
        quick.socket(additional_headers=headers) as socket,
        quick.http.stream("GET", path, headers=headers) as stream,
    ):
        await socket.ask({"op": "subscribe", "run_id": run.id})
        body = stream.aiter_bytes()
        assert await anext(body)
        await _set_role(quick, "somebody@localhost", role)
        lost_at = time.monotonic()
        async with asyncio.timeout(WITHIN_S + 5):
            while (frame := await socket.receive()).get("op") != "error":
                pass
            async for _ in body:
                pass
        assert time.monotonic() - lost_at < WITHIN_S
        assert (frame["code"], frame["run_id"], frame["fatal"]) == ("FORBIDDEN", run.id, False)
        assert (await quick.http.get(path, headers=headers)).status_code == 403
        await run.finish()
        assert (await socket.ask({"op": "ping"}))["op"] == "pong"
        answer = await socket.ask({"op": "ack", "run_id": run.id, "event_id": 1})
        assert answer["code"] == "NOT_SUBSCRIBED"


async def test_lost_role_leaves_others_and_other_projects_alone(quick: LiveServer) -> None:
    """Only the membership that was lost ends: the same user's other project, and other users, go on."""
    tenant, accounts = quick.home.user.tenant, quick.home.store.accounts
    token = await quick.user_with_role("qa-automation")
    user = await accounts.find_user(tenant, "somebody@localhost")
    assert user is not None
    other = await accounts.ensure_project(tenant, "other", "Other")
    await accounts.set_member(tenant, other.id, user.id, "owner")
    here, there = await seed_run(quick), await seed_run(quick, project_id=other.id)
    async with AsyncExitStack() as stack:
        mine = await stack.enter_async_context(quick.socket(additional_headers={"Authorization": f"Bearer {token}"}))
        owners = await stack.enter_async_context(quick.socket())
        for run in (here, there):
            await mine.ask({"op": "subscribe", "run_id": run.id})
        await owners.ask({"op": "subscribe", "run_id": here.id})
        await _set_role(quick, "somebody@localhost", None)
        while (frame := await mine.receive()).get("op") != "error":
            pass
        assert frame["run_id"] == here.id
        await there.finish()
        assert [event["id"] for event in await mine.events_until()] == [2]
        await here.finish()
        assert [event["id"] for event in await owners.events_until()][-1] == 2


async def test_role_changed_to_one_that_streams_keeps_the_stream(quick: LiveServer) -> None:
    """Roles that allow the same are the same to a stream."""
    run = await seed_run(quick)
    token = await quick.user_with_role("qa-automation")
    async with quick.socket(additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        await socket.ask({"op": "subscribe", "run_id": run.id})
        await _set_role(quick, "somebody@localhost", "admin")
        await quick.home.backend.access.check()
        await run.finish()
        assert [event["id"] for event in await socket.events_until()][-1] == 2


async def test_token_about_to_expire_is_announced_and_renewed_in_place(server: LiveServer) -> None:
    """A warning frame says when; ``authenticate`` with a fresher token keeps the connection and its subscriptions."""
    run = await seed_run(server)
    token = server.home.issue_token(4)
    async with server.socket(additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        await socket.ask({"op": "subscribe", "run_id": run.id})
        while (frame := await socket.receive()).get("op") != "expiring":
            pass
        assert 0 < frame["expires_in_ms"] <= 2000
        assert (await socket.ask({"op": "authenticate", "token": server.token}))["op"] == "welcome"
        await run.finish()
        assert [event["id"] for event in await socket.events_until()][-1] == 2


async def test_sse_stream_ends_with_its_token_and_comes_back_refused(server: LiveServer) -> None:
    """A plain end, so that a client reconnects; then 401 says what is wrong."""
    run = await seed_run(server)
    headers = {"Authorization": f"Bearer {server.home.issue_token(3)}"}
    path = f"/api/v1/events/agent-runs/{run.id}"
    async with server.http.stream("GET", path, headers=headers) as stream:
        assert stream.status_code == 200
        async for _ in stream.aiter_bytes():
            pass
    assert (await server.http.get(path, headers=headers)).status_code == 401


class _Roles:
    """Accounts of which only the roles are asked, and counted."""

    def __init__(self) -> None:
        self.kept: dict[Membership, str] = {}
        self.asked = 0
        self.fails = False

    async def roles(self, memberships: tuple[Membership, ...]) -> dict[Membership, str]:
        self.asked += 1
        if self.fails:
            raise ConnectionError
        return {one: self.kept[one] for one in memberships if one in self.kept}


async def test_check_asks_once_for_all_streams_and_tells_each_once() -> None:
    """However many watch, one question; who lost it is told once, who left is not told at all."""
    roles = _Roles()
    watch = AccessWatch(roles)  # type: ignore[arg-type]
    told: list[str] = []
    members = [Membership("t", "p", f"user-{number}") for number in range(50)]
    roles.kept = dict.fromkeys(members[1:], "owner")
    leaves = [watch.watch(one, lambda one=one: told.append(one.user_id)) for one in members]
    second = watch.watch(members[0], lambda: told.append("second"))
    second()
    second()
    await watch.check()
    await watch.check()
    assert told == ["user-0"]
    assert roles.asked == 2
    for leave in leaves:
        leave()
    await watch.check()
    assert not watch._streams


async def test_check_that_fails_ends_nothing() -> None:
    """A store that cannot be asked takes no role away; the next check does."""
    roles = _Roles()
    watch = AccessWatch(roles)  # type: ignore[arg-type]
    told: list[str] = []
    watch.watch(Membership("t", "p", "u"), lambda: told.append("lost"))
    roles.fails = True
    with pytest.raises(ConnectionError):
        await watch.check()
    assert told == []
    roles.fails = False
    await watch.check()
    assert told == ["lost"]


async def test_check_leaves_alone_who_came_while_it_asked() -> None:
    """Removed and added again: the old answer ends what was watching when it was asked for, and nothing newer."""
    told: list[str] = []
    member = Membership("t", "p", "u")

    class Slow(_Roles):
        async def roles(self, memberships: tuple[Membership, ...]) -> dict[Membership, str]:
            answer = await super().roles(memberships)
            watch.watch(member, lambda: told.append("after"))
            return answer

    watch = AccessWatch(Slow())  # type: ignore[arg-type]
    watch.watch(member, lambda: told.append("before"))
    await watch.check()
    assert told == ["before"]


async def test_slow_viewer_that_lost_its_role_gets_nothing_more_over_sse(quick: LiveServer) -> None:
    """Not what waited for it, and not the state that a lost log would have it told."""
    run = await seed_run(quick)
    principal = await quick.tokens.read(await quick.user_with_role("qa-automation"))
    await run.progress(*["x" * 400 + str(number) for number in range(120)])
    await run.finish()
    snapshot = await quick.home.backend.runs.get_run(run.key)
    assert snapshot is not None
    outlet: AsgiOutlet[bytes] = AsgiOutlet(lambda page: [page.sse])
    stream = _RunStream(quick.home.backend, principal, snapshot, outlet)
    events = stream.events(0, None)
    await anext(events)
    assert outlet.waiting_bytes
    stream._on_end(Ending.LOST)
    await _set_role(quick, "somebody@localhost", None)
    await quick.home.backend.access.check()
    assert [wire async for wire in events] == []


async def test_state_after_a_lost_log_is_for_those_who_may_still_see_it(quick: LiveServer) -> None:
    """The role is asked for again before the state is told, whether or not the check has noticed."""
    run = await seed_run(quick)
    principal = await quick.tokens.read(await quick.user_with_role("qa-automation"))
    snapshot = await quick.home.backend.runs.get_run(run.key)
    assert snapshot is not None
    for role in ("qa-automation", None):
        await _set_role(quick, "somebody@localhost", role)
        events = _RunStream(quick.home.backend, principal, snapshot, AsgiOutlet(lambda page: [page.sse]))
        told = events.events(0, None)
        await anext(told)
        events._on_end(Ending.LOST)
        assert len([wire async for wire in told]) == (1 if role else 0)
