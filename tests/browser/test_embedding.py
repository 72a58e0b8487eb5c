"""Runs in somebody else's page: what a page of another origin can do with a Bearer token, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embedding import Site
from live_server import LiveServer, session_of
from playwright.sync_api import Error, Page
from staged_model import Stage

pytestmark = pytest.mark.usefixtures("provoked")

READ = """async ({ url, token }) => {
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
  return { status: answer.status, id: answer.headers.get('X-Request-Id'), body: await answer.json() };
}"""
START = """async ({ url, token }) => {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ agents_selected: ['qa_consultant'] }),
  });
  return { status: answer.status, place: answer.headers.get('Location') };
}"""
STREAM = """async ({ url, token }) => {
  const stop = new AbortController();
  const headers = { Authorization: `Bearer ${token}`, 'Last-Event-ID': '0' };
  const answer = await fetch(url, { headers, signal: stop.signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.includes('id: 1\\n')) text += (await reader.read()).value;
  stop.abort();
  return text;
}"""
SOCKET = """({ url, token }) => new Promise((resolve) => {
  const socket = new WebSocket(url, 'runcast.v1');
  socket.onopen = () => socket.send(JSON.stringify({ op: 'authenticate', token }));
  socket.onmessage = (message) => { resolve(JSON.parse(message.data).op); socket.close(); };
  socket.onclose = () => resolve('refused');
})"""
IMPORT = """async (url) => Object.keys(await import(url)).length > 0"""
BY_COOKIE = """async (url) => (await fetch(url, { credentials: 'include' })).status"""
BLINDLY = """async (url) => {
  const body = new FormData();
  body.append('file', new Blob(['# Theirs']), 'theirs.md');
  await fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body }).catch(() => null);
}"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of a site with blank pages; to the browser another site than the server's."""
    site = Site()
    yield site.origin
    site.close()


@pytest.fixture
def server_settings(elsewhere: str) -> dict[str, Any]:
    """Pages from elsewhere may use the server."""
    return {"allowed_origins": (elsewhere,)}


def at(server: LiveServer, path: str) -> dict[str, str]:
    """An address of the server, and the local user's token."""
    return {"url": f"{server.url}{path}", "token": server.home.issue_token()}


def test_page_of_an_allowed_origin_reads_starts_and_watches(server: LiveServer, elsewhere: str, page: Page) -> None:
    """REST with its errors, a run's stream by fetch, the WebSocket, and our modules, all across origins."""
    page.goto(elsewhere)
    project = f"/api/v1/projects/{server.home.project_id}"
    read = page.evaluate(READ, at(server, "/api/v1/projects"))
    assert (read["status"], read["body"]["projects"][0]["role"]) == (200, "owner")
    assert read["id"]
    refused = page.evaluate(READ, {**at(server, "/api/v1/projects"), "token": "nonsense"})
    assert (refused["status"], refused["body"]["error"]) == (401, "NOT_AUTHENTICATED")
    started = page.evaluate(START, at(server, f"{project}/agent-runs"))
    assert started["status"] == 201
    run_id = started["place"].rpartition("/")[2]
    assert '"type":"queued"' in page.evaluate(STREAM, at(server, f"/api/v1/events/agent-runs/{run_id}"))
    socket = {**at(server, ""), "url": server.url.replace("http", "ws", 1) + "/api/v1/ws"}
    assert page.evaluate(SOCKET, socket) == "welcome"
    assert page.evaluate(IMPORT, f"{server.url}/static/run-client.js") is True


def test_cookie_is_not_sent_for_a_page_of_another_site(
    server: LiveServer, sign_in: None, elsewhere: str, page: Page
) -> None:
    """SameSite=Lax: whoever is signed in here is nobody to a page elsewhere, and what is asked so is unreadable."""
    page.goto(elsewhere)
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate(BY_COOKIE, f"{server.url}/api/v1/projects")


def test_page_of_the_same_site_cannot_act_by_cookie(tmp_path: Path, elsewhere: str, page: Page) -> None:
    """Browsers send the cookie with what another port of our host asks: it uploads nothing and signs nobody out."""
    neighbour = elsewhere.replace("localhost", "127.0.0.1")
    server = LiveServer(tmp_path / "home", Stage(), allowed_origins=(neighbour,))
    server.start()
    try:
        page.context.add_cookies([session_of(server)])
        page.goto(neighbour)
        documents = f"{server.url}/api/v1/projects/{server.home.project_id}/documents"
        for url in (documents, f"{server.url}/sign-out"):
            page.evaluate(BLINDLY, url)
        assert page.goto(f"{server.url}/projects/{server.home.project_id}").status == 200
        assert "theirs.md" not in page.content()
    finally:
        server.stop()


def test_page_of_a_foreign_origin_can_do_nothing(server: LiveServer, elsewhere: str, page: Page) -> None:
    """The same page under another name: the browser gives it no answer, and the WebSocket is refused."""
    page.goto(elsewhere.replace("localhost", "127.0.0.1"))
    for script, path in ((READ, "/api/v1/projects"), (STREAM, f"/api/v1/events/agent-runs/{server.home.project_id}")):
        with pytest.raises(Error, match="Failed to fetch"):
            page.evaluate(script, at(server, path))
    socket = {**at(server, ""), "url": server.url.replace("http", "ws", 1) + "/api/v1/ws"}
    assert page.evaluate(SOCKET, socket) == "refused"
    with pytest.raises(Error, match="Failed to fetch dynamically imported module"):
        page.evaluate(IMPORT, f"{server.url}/static/run-client.js")
