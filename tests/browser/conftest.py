"""Browser tests: the page in a real Chromium. They are a pytest run of their own: ``pytest tests/browser``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import CHROMIUM_FLAGS, find_chromium
from live_server import VIEWER, LiveServer, member, session_of
from playwright.sync_api import BrowserContext, Page, expect
from project_page import ProjectPage
from proxy import Proxy
from staged_model import Stage

from realtime.roles import Role

OF_THE_NETWORK = ("console: Failed to load resource", "console: WebSocket connection to", "console: Access to ")

HERE = Path(__file__).parent

expect.set_options(timeout=30_000)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave these tests out of a run that does not name them: Playwright and asyncio tests cannot share one."""
    asked = config.invocation_params
    named = [asked.dir / argument.partition("::")[0] for argument in asked.args if not argument.startswith("-")]
    return None if any(path.resolve().is_relative_to(HERE) for path in (asked.dir, *named)) else True


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """How pytest-playwright starts the browser."""
    executable = find_chromium()
    where = {} if executable is None else {"executable_path": executable}
    return {**browser_type_launch_args, **where, "args": list(CHROMIUM_FLAGS)}


@pytest.fixture(scope="session")
def base_url() -> None:
    """No default address: a test says which server it means. (The plugin's own fixture warns under pytest 9.2.)"""


@pytest.fixture
def server_settings() -> dict[str, Any]:
    """The server's settings beyond the usual; a test parametrizes them."""
    return {}


def leave(context: BrowserContext) -> None:
    """Close its pages, once they are loaded: only then may end what serves them. No file is left half sent, and none
    of them goes elsewhere by itself, or complains that nobody answers any more."""
    for page in context.pages:
        page.wait_for_load_state()
        page.close()


@pytest.fixture
def server(tmp_path: Path, server_settings: dict[str, Any], context: BrowserContext) -> Iterator[LiveServer]:
    """A server with one document, whose agents wait for the test's cues."""
    server = LiveServer(tmp_path / "home", Stage(), **server_settings)
    server.start()
    server.call(server.home.import_document("shop.md", b"# Shop\n\nREQ-1: A customer can pay by invoice.\n"))
    yield server
    leave(context)
    server.stop()


@pytest.fixture
def stage(server: LiveServer) -> Stage:
    """Where the server's agents get their cues."""
    return server.stage


@pytest.fixture
def proxy(server: LiveServer, context: BrowserContext) -> Iterator[Proxy]:
    """The network between browser and server."""
    proxy = Proxy(int(server.url.rpartition(":")[2]))
    yield proxy
    leave(context)
    proxy.close()


@pytest.fixture
def sign_in(server: LiveServer, context: BrowserContext) -> None:
    """The browser's cookie of the local user."""
    context.add_cookies([session_of(server)])


@pytest.fixture
def viewer(server: LiveServer) -> str:
    """The token of somebody who may look at the project, and no more."""
    user = member(server, VIEWER, Role.VIEWER)
    return server.home.backend.tokens.issue(user, server.home.settings.session_ttl_s)


@pytest.fixture
def complaints(context: BrowserContext) -> list[str]:
    """What the browser had to complain about: errors nobody caught, errors on the console, breaches of the policy."""
    heard: list[str] = []
    context.on("weberror", lambda error: heard.append(f"uncaught: {error.error}"))
    context.on("console", lambda message: message.type == "error" and heard.append(f"console: {message.text}"))
    return heard


@pytest.fixture
def provoked() -> None:
    """The test breaks the line, or asks for what is refused: what the browser by itself says of that is expected."""


@pytest.fixture(autouse=True)
def no_complaints(request: pytest.FixtureRequest, complaints: list[str]) -> Iterator[None]:
    """No test is fine while the browser complains."""
    yield
    expected = OF_THE_NETWORK if "provoked" in request.fixturenames else ()
    assert [heard for heard in complaints if not heard.startswith(expected)] == []


@pytest.fixture
def project_page(server: LiveServer, sign_in: None, page: Page) -> ProjectPage:
    """The project's page, open and signed in."""
    return ProjectPage(page, server.url, server.home.project_id).open()
