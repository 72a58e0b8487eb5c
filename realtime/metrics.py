"""Every Prometheus series of a server, in one place. None has a label per run, tenant or user."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from realtime import __version__
from realtime.frames import CloseCode, ErrorCode
from realtime.quotas import Resource, Scope

CONTENT_TYPE = CONTENT_TYPE_LATEST
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series for the birthday of each other one


class Transport(StrEnum):
    """How somebody watches."""

    WEBSOCKET = "websocket"
    SSE = "sse"


class FailureReason(StrEnum):
    """Why nobody knows who is asking."""

    MISSING = "missing"
    """No token."""
    INVALID = "invalid"
    """A token that is expired, or none of ours."""
    SIGN_IN = "sign_in"
    """A code or token that was to open a session."""


class Metrics:
    """The series of one server; several may live in one process. Counting is cheap and never raises."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("runcast_build", "Which release this is.", registry=registry).info({"version": __version__})
        self._connections = Gauge(
            "runcast_connections", "Connections that are open.", ["transport"], registry=registry
        )
        self.subscriptions = Gauge("runcast_subscriptions", "Runs watched live, over all.", registry=registry)
        self._requests = Counter(
            "runcast_requests_total", "HTTP requests answered.", ["method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "runcast_request_duration_seconds",
            "From a request to the head of its answer.",
            ["method"],
            buckets=SECONDS,
            registry=registry,
        )
        self._refused = Counter(
            "runcast_refused_total", "What was refused for a quota.", ["quota", "scope"], registry=registry
        )
        self._failures = Counter(
            "runcast_authentication_failures_total", "Nobody knew who asked.", ["reason"], registry=registry
        )
        self._revoked = Counter(
            "runcast_access_revoked_total", "Live streams ended for a lost role.", registry=registry
        )
        self._closes = Counter(
            "runcast_websocket_closes_total",
            "WebSockets that ended, by our close code, or client: it left first.",
            ["code"],
            registry=registry,
        )
        self._frames_refused = Counter(
            "runcast_frames_refused_total", "WebSocket frames answered with an error.", ["code"], registry=registry
        )
        self._available = Gauge("runcast_store_available", "1 where the store answers.", registry=registry)
        for transport in Transport:
            self._connections.labels(transport)

    @contextlib.contextmanager
    def connected(self, transport: Transport) -> Iterator[None]:
        """Count a connection for as long as it is open."""
        gauge = self._connections.labels(transport)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def answered(self, method: str, status: int, seconds: float) -> None:
        """Count a request whose answer begins after ``seconds``."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, status).inc()
        self._seconds.labels(method).observe(seconds)

    def refused(self, resource: Resource, scope: Scope) -> None:
        """Count what a quota did not allow."""
        self._refused.labels(resource, scope).inc()

    def authentication_failed(self, reason: FailureReason) -> None:
        """Count a request or connection that nobody knows the sender of."""
        self._failures.labels(reason).inc()

    def access_revoked(self) -> None:
        """Count a live stream that ended because a role was lost."""
        self._revoked.inc()

    def websocket_closed(self, code: CloseCode | None) -> None:
        """Count a WebSocket that we closed with ``code``; None: the client left."""
        self._closes.labels("client" if code is None else int(code)).inc()

    def frame_refused(self, code: ErrorCode) -> None:
        """Count a WebSocket frame that was answered with an error."""
        self._frames_refused.labels(code).inc()

    def store_available(self, available: bool) -> None:
        """Note whether the store can be used now."""
        self._available.set(available)

    def render(self) -> bytes:
        """All series in the text format of Prometheus, of `CONTENT_TYPE`."""
        return generate_latest(self._registry)
