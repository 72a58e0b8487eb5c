"""The real server in a thread of its own, its home in a folder of the test's, its agents on a stage or their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from staged_model import Stage, StagedModel

from realtime.ports import User
from realtime.roles import Role
from realtime.server import serve
from realtime.settings import Settings
from realtime.tokens import COOKIE
from realtime.wiring import Home

Result = TypeVar("Result")
START_S = 60
VIEWER = "viewer@example.test"


class LiveServer:
    """Starts, stops, and starts again at the same address. ``settings`` are those beyond the usual.

    Agents wait for the cues of ``stage``; without one, they do what they always do.
    """

    def __init__(self, home: Path, stage: Stage | None, **settings: Any) -> None:
        self._model = None if stage is None else StagedModel(stage)
        self.stage = stage or Stage()
        self.url = ""
        self.home: Home
        usual = {"home": home, "retry_delays_s": (), "heartbeat_s": 15.0, "log_level": "warning"}
        self._settings = {**usual, **settings}
        self._port = 0
        self._thread: threading.Thread
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Return when it accepts connections."""
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="server")
        self._thread.start()
        assert self._ready.wait(START_S), "the server did not start in time"
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Drain, and return when everything of it has ended."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)
        assert not self._thread.is_alive(), "the server did not stop in time"

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of ``work`` on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.stage.open(self._loop)
        await serve(
            Settings(**self._settings, port=self._port),
            ready=self._accepting,
            stop=self._stop,
            model=self._model,
        )

    def _accepting(self, url: str, home: Home) -> None:
        self.url, self.home = url, home
        self._port = int(url.rpartition(":")[2])
        self._ready.set()


def member(server: LiveServer, email: str, role: Role) -> User:
    """Whoever has that address, with that role in the project from now on."""
    home = server.home
    accounts = home.store.accounts
    record = server.call(accounts.ensure_user(home.user.tenant, email))
    server.call(accounts.set_member(home.user.tenant, home.project_id, record.id, role))
    return User(tenant=home.user.tenant, id=record.id, email=record.email)


def session_of(server: LiveServer) -> dict[str, Any]:
    """The cookie of the local user, for a browser on this machine; ports share it."""
    return session_by(server.home.issue_token())


def session_by(token: str) -> dict[str, Any]:
    """The cookie of whoever has that token, as `session_of`."""
    cookie = {"name": COOKIE, "value": token, "domain": "127.0.0.1", "path": "/"}
    return {**cookie, "httpOnly": True, "sameSite": "Lax"}
