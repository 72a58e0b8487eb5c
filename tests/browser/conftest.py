"""Browser tests: the page in a real Chromium. They are a pytest run of their own: ``pytest tests/browser``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import LiveServer
from playwright.sync_api import BrowserContext, Page, expect
from project_page import ProjectPage
from proxy import Proxy
from staged_model import Stage

from realtime.ports import User
from realtime.roles import Role
from realtime.tokens import COOKIE

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


HERE = Path(__file__).parent

expect.set_options(timeout=15_000)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave these tests out of a run that does not name them: Playwright and asyncio tests cannot share one."""
    asked = config.invocation_params
    named = [asked.dir / argument.partition("::")[0] for argument in asked.args if not argument.startswith("-")]
    return None if any(path.resolve().is_relative_to(HERE) for path in (asked.dir, *named)) else True


def find_chromium() -> str | None:
    """The Chromium of ``RUNCAST_CHROMIUM``, else the system's; None: Playwright's own, if it has one."""
    found = (shutil.which(name) for name in CHROMIUM_NAMES)
    return os.environ.get("RUNCAST_CHROMIUM") or next(filter(None, found), None)


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
def server(tmp_path: Path) -> Iterator[LiveServer]:
    """A server with one document, whose agents wait for the test's cues."""
    stage = Stage()
    server = LiveServer(tmp_path / "home", stage)
    server.start()
    server.call(server.home.import_document("shop.md", b"# Shop\n\nREQ-1: A customer can pay by invoice.\n"))
    yield server
    server.stop()


@pytest.fixture
def stage(server: LiveServer) -> Stage:
    """Where the server's agents get their cues."""
    return server.stage


@pytest.fixture
def proxy(server: LiveServer) -> Iterator[Proxy]:
    """The network between browser and server."""
    proxy = Proxy(int(server.url.rpartition(":")[2]))
    yield proxy
    proxy.close()


@pytest.fixture
def context(context: BrowserContext) -> Iterator[BrowserContext]:
    """The test's browser context; its pages are loaded whole before it closes, so no file is left half sent."""
    yield context
    for page in context.pages:
        page.wait_for_load_state()


@pytest.fixture
def sign_in(server: LiveServer, context: BrowserContext) -> None:
    """The browser's cookie of the local user; ports share it."""
    cookie = {"name": COOKIE, "value": server.home.issue_token(), "domain": "127.0.0.1", "path": "/"}
    context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Lax"}])


@pytest.fixture
def viewer(server: LiveServer) -> str:
    """The token of somebody who may look at the project, and no more."""
    home = server.home
    accounts = home.store.accounts
    record = server.call(accounts.ensure_user(home.user.tenant, "viewer@example.test"))
    server.call(accounts.set_member(home.user.tenant, home.project_id, record.id, Role.VIEWER))
    user = User(tenant=home.user.tenant, id=record.id, email=record.email)
    return home.backend.tokens.issue(user, home.settings.session_ttl_s)


@pytest.fixture
def complaints(context: BrowserContext) -> list[str]:
    """What the browser had to complain about: errors nobody caught, errors on the console, breaches of the policy."""
    heard: list[str] = []
    context.on("weberror", lambda error: heard.append(f"uncaught: {error.error}"))
    context.on("console", lambda message: message.type == "error" and heard.append(f"console: {message.text}"))
    return heard


@pytest.fixture
def project_page(server: LiveServer, sign_in: None, page: Page) -> ProjectPage:
    """The project's page, open and signed in."""
    return ProjectPage(page, server.url, server.home.project_id).open()
