"""A page that brings a token: it is renewed before it expires, on the same line, and after it was refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from live_server import LiveServer
from playwright.sync_api import Page
from staged_model import Stage

SHORT_S = 8
LONG_S = 600
WATCH = """projectId => import('/static/run-client.js').then(async ({ RunClient }) => {
  globalThis.ids = [];
  globalThis.why = [];
  const token = (facts) => { why.push(Object.keys(facts).filter((fact) => facts[fact]).join()); return issue(); };
  globalThis.client = new RunClient({ token, projectId });
  const { id } = await client.start(['ba_consultant']);
  globalThis.watch = client.watch(id, { after: 0 });
  watch.addEventListener('event', ({ detail }) => ids.push(detail.id));
})"""


def watch(server: LiveServer, page: Page, tokens: list[Callable[[], str]]) -> list[str]:
    """Start a run by tokens that are made when they are asked for, one after another, the last for good, and follow
    it; the addresses of the sockets that are opened."""
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))

    def issue() -> str:
        return (tokens.pop(0) if len(tokens) > 1 else tokens[0])()

    page.expose_function("issue", issue)
    page.goto(f"{server.url}/sign-in")
    page.evaluate(WATCH, server.home.project_id)
    page.wait_for_function("() => watch.connection.state === 'live'")
    return sockets


def expect_whole(page: Page, stage: Stage) -> None:
    """The run goes on to its end, and no event is missing."""
    stage.finish("ba_consultant")
    page.wait_for_function("() => watch.ending?.reason === 'finished'")
    ids = page.evaluate("ids")
    assert ids == list(range(1, len(ids) + 1))


def token(server: LiveServer, ttl_s: int) -> Callable[[], str]:
    """Makes one for so many seconds."""
    return partial(server.home.backend.tokens.issue, server.home.user, ttl_s)


@pytest.mark.parametrize("server_settings", [{"token_leeway_s": 0.0}], ids=["strict"])
def test_token_about_to_expire_is_renewed_on_the_same_line(server: LiveServer, page: Page, stage: Stage) -> None:
    """The server says that it expires; another is sent in place, and outlives the first."""
    long = token(server, LONG_S)
    sockets = watch(server, page, [long, token(server, SHORT_S), long])
    expired_ms = page.evaluate("Date.now()") + (SHORT_S + 1) * 1000
    page.wait_for_function("() => why.length === 3")
    stage.progress("ba_consultant", 40, "Reading")
    page.wait_for_function("() => watch.state.steps[0].progress_pct === 40")
    page.wait_for_function("since => Date.now() > since", arg=expired_ms)
    expect_whole(page, stage)
    assert len(sockets) == 1
    assert page.evaluate("why") == ["", "", "expiring"]


def test_token_refused_is_fetched_again(server: LiveServer, page: Page, stage: Stage) -> None:
    """The function is told that the last one was refused, and the run is followed with the next."""
    good = token(server, LONG_S)
    watch(server, page, [good, lambda: "nonsense", good])
    expect_whole(page, stage)
    assert page.evaluate("why") == ["", "", "refused"]
