"""Signing in for browsers: what becomes a cookie, for how long, with which attributes, and from which pages."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from issuer import SHARED_SECRET, claims, shared
from live import LiveServer, live_server

from realtime.endpoints.session import MAX_COOKIE_BYTES, MAX_COOKIE_S
from realtime.tokens import COOKIE

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSION = "/api/v1/session"
ALLOWED = "https://app.example.org"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveServer]:
    """A server that shares its secret with another backend, and may be used by pages of another origin."""
    settings: dict[str, Any] = {"secret": SHARED_SECRET, "allowed_origins": (ALLOWED,)}
    async with live_server(tmp_path_factory.mktemp("session") / "home", with_document=False, **settings) as live:
        yield live


@pytest_asyncio.fixture(loop_scope="module")
async def browser(server: LiveServer) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that keeps cookies and says that it shows our own page."""
    async with httpx2.AsyncClient(base_url=server.url, headers={"Origin": server.url}) as client:
        yield client


def cookie_of(answer: httpx2.Response) -> Morsel[str]:
    """The one cookie that an answer sets."""
    (line,) = answer.headers.get_list("Set-Cookie")
    return SimpleCookie(line)[COOKIE]


async def test_session_is_a_cookie_for_http_alone(server: LiveServer, browser: httpx2.AsyncClient) -> None:
    """HttpOnly, SameSite=Lax, for the whole site and this host only; over plain http it is not Secure."""
    cookie = cookie_of(await browser.post(SESSION, json={"token": server.token}))
    assert cookie.value == server.token
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert (cookie["domain"], cookie["secure"]) == ("", "")


@pytest.mark.parametrize("ttl_s", [60, 3600, 90 * 24 * 3600, 10**10])
async def test_session_lasts_as_long_as_its_token(
    server: LiveServer, browser: httpx2.AsyncClient, ttl_s: int
) -> None:
    """The cookie's age, and what the answer says, are the token's; no browser keeps a cookie for over 400 days."""
    answer = await browser.post(SESSION, json={"token": server.home.issue_token(ttl_s)})
    kept_s = min(ttl_s, MAX_COOKIE_S)
    assert kept_s - 5 <= int(cookie_of(answer)["max-age"]) <= kept_s
    assert abs(answer.json()["expires_at"] - time.time() - ttl_s) < 5


async def test_session_of_another_backends_token_lasts_through_the_leeway(
    server: LiveServer, browser: httpx2.AsyncClient
) -> None:
    """A foreign token signs in, too, the user that it names."""
    answer = await browser.post(SESSION, json={"token": shared(claims(exp=time.time() + 100))})
    assert answer.json()["email"] == server.home.user.email
    assert 120 < int(cookie_of(answer)["max-age"]) <= 130
    assert (await browser.get("/api/v1/projects")).json()["projects"][0]["id"] == server.home.project_id


async def test_signing_in_as_somebody_else_replaces_who_was(server: LiveServer, browser: httpx2.AsyncClient) -> None:
    """There is one cookie, and it is the last."""
    other = await server.user_with_role(None, "other@localhost")
    await browser.post(SESSION, json={"token": server.token})
    assert len((await browser.get("/api/v1/projects")).json()["projects"]) == 1
    assert (await browser.post(SESSION, json={"token": other})).json()["email"] == "other@localhost"
    assert (await browser.get("/api/v1/projects")).json() == {"projects": []}


@pytest.mark.parametrize("token", ["nonsense", "", "x" * 60_000, "ü", "a\x00b"])
async def test_bad_token_leaves_the_session_as_it_was(
    server: LiveServer, browser: httpx2.AsyncClient, token: str
) -> None:
    """401 without any cookie; whoever was signed in still is."""
    await browser.post(SESSION, json={"token": server.token})
    answer = await browser.post(SESSION, json={"token": token})
    assert (answer.status_code, answer.json()["error"]) == (401, "NOT_AUTHENTICATED")
    assert "Set-Cookie" not in answer.headers
    assert (await browser.get("/api/v1/projects")).status_code == 200


async def test_token_that_no_cookie_holds_is_refused_aloud(browser: httpx2.AsyncClient) -> None:
    """Browsers drop a cookie over 4096 bytes without a word; as a Bearer token it is still good."""
    token = shared(claims(more="x" * MAX_COOKIE_BYTES))
    answer = await browser.post(SESSION, json={"token": token})
    assert (answer.status_code, answer.json()["error"]) == (400, "BAD_REQUEST")
    assert f"{len(token)} bytes" in answer.json()["message"]
    assert "Set-Cookie" not in answer.headers
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await browser.get("/api/v1/projects", headers=bearer)).status_code == 200


@pytest.mark.parametrize("how", ["session", "form"])
async def test_signing_out_takes_the_same_cookie_back(
    server: LiveServer, browser: httpx2.AsyncClient, how: str
) -> None:
    """With the attributes it was set with, or a browser would keep it; twice is as once."""
    set_ = cookie_of(await browser.post(SESSION, json={"token": server.token}))
    for _ in range(2):
        answer = await (browser.delete(SESSION) if how == "session" else browser.post("/sign-out"))
        taken = cookie_of(answer)
        assert (taken.value, taken["max-age"]) == ("", "0")
        for attribute in ("httponly", "samesite", "path", "domain", "secure"):
            assert taken[attribute] == set_[attribute]
        assert (await browser.get("/api/v1/projects")).status_code == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [("own", 200), (ALLOWED, 403), ("https://elsewhere.example", 403), ("null", 403), (None, 403)],
)
async def test_session_is_changed_by_our_own_pages_only(server: LiveServer, origin: str | None, status: int) -> None:
    """A browser that has a session is neither signed out nor signed in as somebody else by a page elsewhere."""
    origin = server.url if origin == "own" else origin
    headers = {"Cookie": f"{COOKIE}={server.token}", **({} if origin is None else {"Origin": origin})}
    other = await server.user_with_role(None, "attacker@localhost")
    async with httpx2.AsyncClient(base_url=server.url, headers=headers) as client:
        answer = await client.post(SESSION, json={"token": other})
        assert answer.status_code == status
        assert ("Set-Cookie" in answer.headers) is (status == 200)
        ended = await client.delete(SESSION)
        assert ended.status_code == (204 if status == 200 else status)
        assert ("Set-Cookie" in ended.headers) is (status == 200)


async def test_program_without_origin_opens_a_session(server: LiveServer) -> None:
    """Whoever has no cookie yet needs none."""
    async with httpx2.AsyncClient(base_url=server.url) as client:
        assert (await client.post(SESSION, json={"token": server.token})).status_code == 200
        assert (await client.get("/api/v1/projects")).status_code == 200


async def test_session_behind_https_is_for_https_only(tmp_path: Path) -> None:
    """A public URL of https makes the cookie Secure, when it is set as when it is taken back, by session and form."""
    public = "https://runs.example.org"
    async with (
        live_server(tmp_path, with_document=False, public_url=public) as server,
        httpx2.AsyncClient(base_url=server.url, headers={"Origin": public}) as client,
    ):
        for answer in (
            await client.post(SESSION, json={"token": server.token}),
            await client.delete(SESSION),
            await client.post("/sign-in", data={"token": server.token}),
            await client.post("/sign-out"),
        ):
            assert cookie_of(answer)["secure"] is True


async def test_page_with_a_one_time_code_is_neither_kept_nor_referred_to(
    server: LiveServer, browser: httpx2.AsyncClient
) -> None:
    """The sign-in page has its code in the address: no cache keeps it, and no other site is told."""
    link = await server.home.sign_in_link(server.url)
    page = await browser.get(link)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
    assert "Set-Cookie" not in page.headers
