"""A running server: the listening socket, readiness, and an end that every viewer is told of."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from asyncio import Event
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager

import msgspec
import structlog
from hypercorn.asyncio.run import worker_serve
from hypercorn.config import Sockets
from hypercorn.utils import wrap_app

from realtime.app import create_metrics_app
from realtime.asgi import Application
from realtime.broadcaster import Broadcaster
from realtime.endpoints.backend import Backend
from realtime.guards import GuardedConfig, install
from realtime.log import configure_logging
from realtime.settings import Settings
from realtime.wiring import Home, LanguageModel, hold_home, open_home, printable_url

_log = structlog.get_logger(__name__)

BACKLOG = 2048
MESSAGE_BYTES = 128 * 1024
"""The most Hypercorn buffers of one WebSocket message; the protocol's own limit, with a typed error, is lower."""
DRAIN_S = 3.0
"""How long streams may take to say goodbye before they are cut."""
PEER_TIMEOUT_MS = 35_000
SEND_BUFFER_BYTES = 64 * 1024
"""What the kernel takes for one peer that does not read; left to itself it takes megabytes."""


class ServerError(Exception):
    """The server cannot listen; the text says where and why."""


class Running(msgspec.Struct, frozen=True):
    """What stands in ``server.json`` of a home while it is served."""

    url: str
    pid: int
    database: str | None = None
    """The PostgreSQL database that it serves, without its password; None: the files of the home."""
    metrics_url: str | None = None
    """Where its metrics are; None: nowhere."""


async def serve(
    settings: Settings,
    *,
    ready: Callable[[str, Home], None] | None = None,
    stop: Event | None = None,
    model: LanguageModel | None = None,
) -> None:
    """Serve the home until ``stop`` is set, or SIGTERM or SIGINT comes; then drain: viewers are told to come back.

    ``ready`` is called once with the base URL and the open home when connections are accepted. ``model`` answers the
    agents instead of the offline model.

    Raises:
        ServerError: the address cannot be listened on.
        HomeLockedError: another process serves this home.
        DatabaseInUseError: another server has its database.
        StoreError: the home or its database cannot be used.

    """
    install()
    configure_logging(settings.log_level, settings.log_format)
    stop = stop or Event()
    async with hold_home(settings):
        with _listen(settings.host, settings.port) as listener, _listen_for_metrics(settings) as metrics_listener:
            await _serve_held(settings, listener, metrics_listener, ready=ready, stop=stop, model=model)


async def _serve_held(
    settings: Settings,
    listener: socket.socket,
    metrics_listener: socket.socket | None,
    *,
    ready: Callable[[str, Home], None] | None,
    stop: Event,
    model: LanguageModel | None,
) -> None:
    """Serve a home that is held, on sockets that listen."""
    url = _base_url(settings.host, listener)
    metrics_url = None
    if metrics_listener is not None:
        metrics_url = f"{_base_url(settings.metrics_host, metrics_listener)}/metrics"
    async with (
        open_home(settings, model=model) as home,
        home.orchestrate(),
        _metrics_served(home.backend, metrics_listener),
    ):
        with _told(settings, url, metrics_url), _signals(stop):
            trigger = _Shutdown(home.backend.broadcaster, stop, lambda: ready and ready(url, home))
            await _serve_on(listener, home.app, trigger.wait, stop)


async def _serve_on(
    listener: socket.socket, app: Application, until: Callable[[], Awaitable[object]], stop: Event
) -> None:
    """Serve ``app`` until ``until`` returns; what has not ended some time after ``stop`` is cut."""
    config = _config()
    reaper = asyncio.ensure_future(_reap(config, stop))
    try:
        await worker_serve(
            wrap_app(app, config.wsgi_max_body_size, "asgi"),
            config,
            sockets=Sockets([], [listener], []),
            shutdown_trigger=until,
        )
    finally:
        reaper.cancel()
        await asyncio.gather(reaper, return_exceptions=True)


@contextlib.asynccontextmanager
async def _metrics_served(backend: Backend, listener: socket.socket | None) -> AsyncIterator[None]:
    """``/metrics`` answers, also while the server drains."""
    if listener is None:
        yield
        return
    stop = Event()
    serving = asyncio.get_running_loop().create_task(
        _serve_on(listener, create_metrics_app(backend), stop.wait, stop)
    )
    try:
        yield
    finally:
        stop.set()
        await serving


class _Shutdown:
    """What Hypercorn waits for: it listens already when it starts to wait, and closes nothing before it returns."""

    def __init__(self, broadcaster: Broadcaster, stop: Event, ready: Callable[[], object]) -> None:
        self._broadcaster = broadcaster
        self._stop = stop
        self._ready = ready

    async def wait(self) -> None:
        self._ready()
        await self._stop.wait()
        _log.info("draining", viewers=self._broadcaster.viewers)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._broadcaster.drain()


async def _reap(config: GuardedConfig, stop: Event) -> None:
    """Cut what has not ended by itself: from Python 3.12 on, closing a server waits for every open socket."""
    await stop.wait()
    await asyncio.sleep(DRAIN_S + 1)
    while True:
        config.abort_all()
        await asyncio.sleep(0.2)


def _config() -> GuardedConfig:
    config = GuardedConfig()
    config.backlog = BACKLOG
    config.errorlog = logging.getLogger("hypercorn.error")  # to our log, as everything
    config.graceful_timeout = DRAIN_S
    config.include_server_header = False
    config.websocket_max_message_size = MESSAGE_BYTES
    return config


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PEER_TIMEOUT_MS)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ServerError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    listener.setblocking(False)
    return listener


def _listen_for_metrics(settings: Settings) -> AbstractContextManager[socket.socket | None]:
    if settings.metrics_port is None:
        return contextlib.nullcontext()
    try:
        return _listen(settings.metrics_host, settings.metrics_port)
    except ServerError as error:
        raise ServerError(f"{error} (for /metrics)") from None


def _base_url(host: str, listener: socket.socket) -> str:
    """How to reach the server from this machine."""
    port = listener.getsockname()[1]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # the wildcard is looked for
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


@contextlib.contextmanager
def _told(settings: Settings, url: str, metrics_url: str | None) -> Iterator[None]:
    """The server's address stands in the home while it runs."""
    database = None if settings.database_url is None else printable_url(settings.database_url)
    path = settings.home / "server.json"
    path.touch(0o600)
    path.write_bytes(msgspec.json.encode(Running(url, os.getpid(), database, metrics_url)))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _signals(stop: Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    caught = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
            caught.append(number)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
