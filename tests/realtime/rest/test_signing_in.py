"""Signing in and out over HTTP: a session from a token, links that work once, the form, where pages lead."""

from __future__ import annotations

import httpx2
import pytest
from live import LiveServer
from rest_answers import refusal

from realtime.tokens import COOKIE, hash_code, new_code

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_session_turns_a_token_into_a_cookie(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """The cookie is HttpOnly, SameSite=Lax, for the whole site, no longer than the token; DELETE takes it back."""
    answer = await anyone.post("/api/v1/session", json={"token": server.home.issue_token(600)})
    assert answer.status_code == 200
    assert answer.json()["email"] == server.home.user.email
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    age = int(cookie.split("Max-Age=")[1].split(";")[0])
    assert 500 < age <= 600
    assert (await anyone.get("/api/v1/projects")).status_code == 200
    assert refusal(await anyone.delete("/api/v1/session")) == (403, "FORBIDDEN")
    ended = await anyone.delete("/api/v1/session", headers={"Origin": server.url})
    assert ended.status_code == 204
    assert refusal(await anyone.get("/api/v1/projects")) == (401, "NOT_AUTHENTICATED")


async def test_session_from_a_foreign_page_is_refused(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """A foreign page cannot sign a browser in, neither by API nor by form."""
    foreign = {"Origin": "https://elsewhere.example"}
    answer = await anyone.post("/api/v1/session", json={"token": server.token}, headers=foreign)
    assert refusal(answer) == (403, "FORBIDDEN")
    assert "Set-Cookie" not in answer.headers
    for headers in (foreign, {}):
        form = await anyone.post("/sign-in", data={"token": server.token}, headers=headers)
        assert form.status_code == 403
        assert "Set-Cookie" not in form.headers


async def test_sign_in_link_is_spent_once_and_by_post_only(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """Opening a link (or a scanner that does) spends nothing; the form does, and a second time it is refused."""
    link = await server.home.sign_in_link(server.url)
    code = link.partition("code=")[2]
    for _ in range(2):
        page = await anyone.get(link)
        assert page.status_code == 200
        assert "Set-Cookie" not in page.headers
        assert code in page.text
    own = {"Origin": server.url}
    signed_in = await anyone.post("/sign-in", data={"code": code}, headers=own)
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "/")
    assert (await anyone.get("/api/v1/projects")).status_code == 200
    anyone.cookies.clear()
    second = await anyone.post("/sign-in", data={"code": code}, headers=own)
    assert second.status_code == 401
    assert "Set-Cookie" not in second.headers


async def test_sign_in_link_that_expired_is_refused(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """A code is worth nothing after its time, and one that was never given out neither."""
    code = new_code()
    await server.home.backend.accounts.add_code(hash_code(code), server.home.user, -1)
    own = {"Origin": server.url}
    for sent in (code, new_code(), "x"):
        answer = await anyone.post("/sign-in", data={"code": sent}, headers=own)
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers


async def test_pasted_token_signs_in_and_sign_out_ends_it(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """The form takes a token as well, with blanks around; signing out needs our Origin and removes the cookie."""
    own = {"Origin": server.url}
    assert (await anyone.post("/sign-in", data={"token": "nonsense"}, headers=own)).status_code == 401
    signed_in = await anyone.post("/sign-in", data={"token": f"  {server.token}\n"}, headers=own)
    assert signed_in.status_code == 303
    assert (await anyone.get("/")).headers["Location"] == f"/projects/{server.home.project_id}"
    assert (await anyone.post("/sign-out")).status_code == 403
    assert (await anyone.post("/sign-out", headers=own)).status_code == 303
    assert (await anyone.get("/")).headers["Location"] == "/sign-in"


async def test_page_of_a_project_is_the_same_under_any_spelling_of_its_id(server: LiveServer) -> None:
    """An id is a UUID, whatever its letters' case; somebody without a session is led to the sign-in page."""
    html = {"Accept": "text/html"}
    for spelling in (server.home.project_id, server.home.project_id.upper()):
        page = await server.http.get(f"/projects/{spelling}", headers=html)
        assert page.status_code == 200
        assert "docs/spec.md" in page.text
    async with httpx2.AsyncClient(base_url=server.url) as client:
        answer = await client.get(f"/projects/{server.home.project_id}", headers=html)
    back = f"/sign-in?next=%2Fprojects%2F{server.home.project_id}"
    assert (answer.status_code, answer.headers["location"]) == (303, back)
