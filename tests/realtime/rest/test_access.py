"""Who may do what over REST: roles, tokens that prove nothing, cookies of foreign pages, other tenants."""

from __future__ import annotations

import base64
import json
from uuid import uuid4

import httpx2
import pytest
from live import ALL_AGENTS, LiveServer
from rest_answers import bearer, refusal

from realtime.ports import User
from realtime.tokens import COOKIE, Tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_roles_decide_what_may_be_done(server: LiveServer) -> None:
    """Invariant 9: a viewer reads, but neither streams, starts nor uploads; a manual tester also uploads."""
    run_id = await server.start_run(["qa_consultant"])
    for role, can_write in (("viewer", False), ("developer", False), ("qa-manual", True), ("pm-csm", True)):
        headers = bearer(await server.user_with_role(role, f"{role}@localhost"))
        for path in ("agent-runs", "documents", "artifacts", f"agent-runs/{run_id}"):
            assert (await server.http.get(f"{server.project}/{path}", headers=headers)).status_code == 200
        stream = await server.http.get(f"/api/v1/events/agent-runs/{run_id}", headers=headers)
        assert refusal(stream) == (403, "FORBIDDEN")
        body = {"agents_selected": ALL_AGENTS}
        started = await server.http.post(f"{server.project}/agent-runs", json=body, headers=headers)
        assert refusal(started) == (403, "FORBIDDEN")
        document = {"path": f"by-{role}.md", "content": "x"}
        kept = await server.http.post(f"{server.project}/documents", json=document, headers=headers)
        assert (kept.status_code == 201) is can_write, role
    for role in ("owner", "admin", "qa-automation"):
        headers = bearer(await server.user_with_role(role, f"{role}@localhost"))
        body = {"agents_selected": ["qa_consultant"]}
        started = await server.http.post(f"{server.project}/agent-runs", json=body, headers=headers)
        assert started.status_code == 201
    headers = bearer(await server.user_with_role(None, "stranger@localhost"))
    for path in ("agent-runs", "documents", "artifacts", f"agent-runs/{run_id}"):
        assert refusal(await server.http.get(f"{server.project}/{path}", headers=headers)) == (403, "FORBIDDEN")


def unsigned(token: str) -> str:
    """The same claims with the algorithm ``none`` and no signature."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."


async def test_token_that_proves_nothing_is_401_everywhere(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """No token, one expired, of another secret, of ``alg: none`` or of another shape: 401, nothing of it told."""
    run_id = await server.start_run(["qa_consultant"])
    foreign = Tokens(b"another secret of at least 32 bytes").issue(server.home.user, 3600)
    tokens = [None, "x", "a.b.c", server.home.issue_token(-1), foreign, unsigned(server.token), "ü" * 3]
    paths = (
        "/api/v1/agents", "/api/v1/projects", f"{server.project}/agent-runs", f"{server.project}/agent-runs/{run_id}",
        f"{server.project}/documents", f"{server.project}/artifacts", f"/api/v1/events/agent-runs/{run_id}",
    )  # fmt: skip
    for token in tokens:
        headers = {} if token is None else {b"Authorization": f"Bearer {token}".encode()}
        for path in paths:
            answer = await anyone.get(path, headers=headers)
            assert refusal(answer) == (401, "NOT_AUTHENTICATED"), (token, path)
            assert not token or len(token) < 4 or token not in answer.text
    for path, body in (
        (f"{server.project}/agent-runs", {"agents_selected": ALL_AGENTS}),
        ("/api/v1/session", {"token": "x"}),
    ):
        assert refusal(await anyone.post(path, json=body)) == (401, "NOT_AUTHENTICATED")


async def test_cookie_needs_our_own_origin_to_change_things(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """With a cookie, reading needs no Origin but takes no foreign one; writing needs our own."""
    cookie = {"Cookie": f"{COOKIE}={server.token}"}
    path, body = f"{server.project}/agent-runs", {"agents_selected": ["qa_consultant"]}
    assert (await anyone.get(path, headers=cookie)).status_code == 200
    assert refusal(await anyone.post(path, json=body, headers=cookie)) == (403, "FORBIDDEN")
    for origin in ("https://elsewhere.example", "null", server.url.replace("http", "https"), server.url + ".example"):
        headers = {**cookie, "Origin": origin}
        assert refusal(await anyone.get(path, headers=headers)) == (403, "FORBIDDEN"), origin
        assert refusal(await anyone.post(path, json=body, headers=headers)) == (403, "FORBIDDEN"), origin
        stream = await anyone.get(
            f"/api/v1/events/agent-runs/{uuid4()}", headers={**server.headers, "Origin": origin}
        )
        assert refusal(stream) == (403, "FORBIDDEN"), origin
    own = await anyone.post(path, json=body, headers={**cookie, "Origin": server.url})
    assert own.status_code == 201


@pytest.mark.parametrize("scheme", ["Basic dTpw", "Bearer"])
async def test_cookie_beside_another_authorization_still_needs_our_origin(server: LiveServer, scheme: str) -> None:
    """Another scheme, or a bearer without a token, leaves the cookie what identifies."""
    headers = {"Cookie": f"{COOKIE}={server.token}", "Authorization": scheme, "Origin": "https://elsewhere.example"}
    async with httpx2.AsyncClient(base_url=server.url) as client:
        answer = await client.post(
            f"{server.project}/agent-runs", json={"agents_selected": ["ba_consultant"]}, headers=headers
        )
    assert refusal(answer) == (403, "FORBIDDEN")


async def test_run_in_another_tenant_is_not_found(server: LiveServer) -> None:
    """Invariant 9: the same ids with a token of another tenant find nothing, by REST as by SSE."""
    run_id = await server.start_run(["qa_consultant"])
    accounts = server.home.store.accounts
    await accounts.ensure_tenant("elsewhere")
    record = await accounts.ensure_user("elsewhere", "somebody@localhost")
    headers = bearer(server.tokens.issue(User(tenant="elsewhere", id=record.id, email=record.email), 3600))
    assert refusal(await server.http.get(f"/api/v1/events/agent-runs/{run_id}", headers=headers)) == (
        404,
        "RUN_NOT_FOUND",
    )
    shown = await server.http.get(f"{server.project}/agent-runs/{run_id}", headers=headers)
    assert refusal(shown) == (404, "PROJECT_NOT_FOUND")
