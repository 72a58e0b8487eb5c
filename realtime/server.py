"""A running server: the listening socket, readiness, and an end that every viewer is told of."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import ssl
from asyncio import Event
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

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
from realtime.listener import BACKLOG, Listener
from realtime.log import configure_logging
from realtime.settings import Settings
from realtime.tls import ServerTls, UnusableCertificateError, load_server_tls
from realtime.wiring import Home, LanguageModel, hold_home, open_home, printable_url

_log = structlog.get_logger(__name__)

MESSAGE_BYTES = 128 * 1024
"""The most Hypercorn buffers of one WebSocket message; the protocol's own limit, with a typed error, is lower."""
DRAIN_S = 3.0
"""How long streams may take to say goodbye before they are cut."""
HANDSHAKE_S = 10.0
"""How long a peer may take over its TLS handshake."""


class ServerError(Exception):
    """The server cannot listen, or not as securely as it should; the text says why."""


class Running(msgspec.Struct, frozen=True):
    """What stands in ``server.json`` of a home while it is served."""

    url: str
    pid: int
    database: str | None = None
    """The PostgreSQL database that it serves, without its password; None: the files of the home."""
    metrics_url: str | None = None
    """Where its metrics are; None: nowhere."""
    certificate: str | None = None
    """What it is to be known by, PEM, where ``url`` is of https."""


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
        ServerError: the address cannot be listened on, or the certificate or its key cannot be used.
        HomeLockedError: another process serves this home.
        DatabaseInUseError: the tables of its database are being changed.
        StoreError: the home or its database cannot be used.

    """
    install()
    configure_logging(settings.log_level, settings.log_format)
    stop = stop or Event()
    tls = _load_tls(settings)
    async with hold_home(settings):
        with _listen(settings.host, settings.port) as listener, _listen_for_metrics(settings) as metrics_listener:
            await _serve_held(settings, listener, tls, metrics_listener, ready=ready, stop=stop, model=model)


def spare_collector() -> None:
    """Keep what this process has loaded out of every later garbage collection. To be called once, when it serves.

    It stays anyway: over a hundred thousand objects, for which a full collection held up every viewer for 70 ms.
    """
    gc.collect()
    gc.freeze()


async def _serve_held(
    settings: Settings,
    listener: Listener,
    tls: ServerTls | None,
    metrics_listener: Listener | None,
    *,
    ready: Callable[[str, Home], None] | None,
    stop: Event,
    model: LanguageModel | None,
) -> None:
    """Serve a home that is held, on sockets that listen."""
    url = listener.base_url("http" if tls is None else "https")
    metrics_url = None
    if metrics_listener is not None:
        metrics_url = f"{metrics_listener.base_url('http')}/metrics"
    async with (
        open_home(settings, model=model) as home,
        home.orchestrate(),
        _metrics_served(home.backend, metrics_listener),
    ):
        database = None if settings.database_url is None else printable_url(settings.database_url)
        running = Running(url, os.getpid(), database, metrics_url, tls and tls.certificate)
        with _told(settings.home, running), _signals(stop):
            trigger = _Shutdown(home.backend.broadcaster, stop, lambda: ready and ready(url, home))
            await _serve_on(listener, home.app, trigger.wait, stop, tls)


async def _serve_on(
    listener: Listener,
    app: Application,
    until: Callable[[], Awaitable[object]],
    stop: Event,
    tls: ServerTls | None = None,
) -> None:
    """Serve ``app`` until ``until`` returns; what has not ended some time after ``stop`` is cut."""
    config = _configure(GuardedConfig() if tls is None else _TlsConfig(tls.context))
    reaper = asyncio.ensure_future(_reap(config, listener, stop))
    try:
        await worker_serve(
            wrap_app(app, config.wsgi_max_body_size, "asgi"),
            config,
            sockets=Sockets([], [listener], []) if tls is None else Sockets([listener], [], []),
            shutdown_trigger=until,
        )
    finally:
        reaper.cancel()
        await asyncio.gather(reaper, return_exceptions=True)
        listener.cut_all()


@contextlib.asynccontextmanager
async def _metrics_served(backend: Backend, listener: Listener | None) -> AsyncIterator[None]:
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


async def _reap(config: GuardedConfig, listener: Listener, stop: Event) -> None:
    """Cut what has not ended by itself: from Python 3.12 on, closing a server waits for every open socket."""
    await stop.wait()
    await asyncio.sleep(DRAIN_S + 1)
    while True:
        config.abort_all()
        listener.cut_all()
        await asyncio.sleep(0.2)


class _TlsConfig(GuardedConfig):
    """The configuration for TLS: Hypercorn's own context would undo Python's choice of options and ciphers."""

    ssl_enabled = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self._context = context
        self.ssl_handshake_timeout = HANDSHAKE_S

    def create_ssl_context(self) -> ssl.SSLContext:
        return self._context


def _configure(config: GuardedConfig) -> GuardedConfig:
    config.backlog = BACKLOG
    config.errorlog = logging.getLogger("hypercorn.error")  # to our log, as everything
    config.graceful_timeout = DRAIN_S
    config.include_server_header = False
    config.websocket_max_message_size = MESSAGE_BYTES
    return config


def _listen(host: str, port: int) -> Listener:
    try:
        return Listener(host, port)
    except OSError as error:
        raise ServerError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def _listen_for_metrics(settings: Settings) -> AbstractContextManager[Listener | None]:
    if settings.metrics_port is None:
        return contextlib.nullcontext()
    try:
        return _listen(settings.metrics_host, settings.metrics_port)
    except ServerError as error:
        raise ServerError(f"{error} (for /metrics)") from None


def _load_tls(settings: Settings) -> ServerTls | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        return load_server_tls(settings.tls_cert, settings.tls_key)
    except UnusableCertificateError as error:
        raise ServerError(str(error)) from None


@contextlib.contextmanager
def _told(home: Path, running: Running) -> Iterator[None]:
    """The server's address stands in the home while it runs."""
    path = home / "server.json"
    path.touch(0o600)
    path.write_bytes(msgspec.json.encode(running))
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
