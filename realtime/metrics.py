"""Every Prometheus series of a server, in one place. None has a label per run, tenant or user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import accumulate

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
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from realtime import __version__
from realtime.clock import rfc3339
from realtime.counts import DeliveryCounts, Distribution, ResumeKind, RunCounts, SpendingCounts
from realtime.cursor import ResetReason
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


class StreamEnd(StrEnum):
    """How an SSE stream ended."""

    FINISHED = "finished"
    """All of the run was sent."""
    CLIENT = "client"
    """The viewer left."""
    EXPIRED = "expired"
    """Its token did."""
    FORBIDDEN = "forbidden"
    """Its role was lost."""
    DRAINED = "drained"
    """The server restarts."""
    STUCK = "stuck"
    """The viewer took nothing for too long."""
    LOST = "lost"
    """The log no longer had what was due; it was told the state instead."""
    FAILED = "failed"
    """The server could not write to it."""


class FailureReason(StrEnum):
    """Why nobody knows who is asking."""

    MISSING = "missing"
    """No token."""
    INVALID = "invalid"
    """A token that is expired, or none of ours."""
    SIGN_IN = "sign_in"
    """A code or token that was to open a session."""


class Metrics:
    """The series of one server; several may live in one process. Counting is cheap and never raises.

    What ``delivery``, ``spending`` and ``runs`` count is read from there when it is asked for.
    """

    def __init__(
        self, delivery: DeliveryCounts, spending: SpendingCounts | None = None, runs: RunCounts | None = None
    ) -> None:
        self._delivery = delivery
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_DeliverySeries(delivery))
        registry.register(_SpendingSeries(spending or SpendingCounts()))
        registry.register(_RunSeries(runs or RunCounts()))
        Info("runcast_build", "Which release this is.", registry=registry).info({"version": __version__})
        self._connections = Gauge(
            "runcast_connections", "Connections that are open.", ["transport"], registry=registry
        )
        self.subscriptions = Gauge(
            "runcast_subscriptions", "Runs and projects watched live, over all connections.", registry=registry
        )
        self.projects_watched = Gauge(
            "runcast_projects_watched", "Projects whose runs are told to watchers.", registry=registry
        )
        self.runs_in_memory = Gauge("runcast_runs_in_memory", "Runs whose newest events are kept.", registry=registry)
        self.tail_bytes = Gauge("runcast_tail_bytes", "How much of their logs that is.", registry=registry)
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
            "WebSockets that ended, by our close code; client: it left first; cut: it sent too fast.",
            ["code"],
            registry=registry,
        )
        self._ends = Counter("runcast_sse_ends_total", "SSE streams that ended.", ["reason"], registry=registry)
        self._resets = Counter(
            "runcast_resets_total",
            "Viewers told the state instead of what they missed.",
            ["reason"],
            registry=registry,
        )
        self._frames_refused = Counter(
            "runcast_frames_refused_total", "WebSocket frames answered with an error.", ["code"], registry=registry
        )
        self._available = Gauge("runcast_store_available", "1 where the store answers.", registry=registry)
        # A series that begins with its first 1 would hide that one from rate() and increase().
        for transport in Transport:
            self._connections.labels(transport)
        for code in ("client", "cut", *(int(code) for code in CloseCode if code is not CloseCode.NORMAL)):
            self._closes.labels(code)
        for end in StreamEnd:
            self._ends.labels(end)
        for reset in ResetReason:
            self._resets.labels(reset)
        for failure in FailureReason:
            self._failures.labels(failure)
        for error in ErrorCode:
            self._frames_refused.labels(error)

    def connected(self, transport: Transport) -> Callable[[], None]:
        """Count a connection until the function returned is called."""
        gauge = self._connections.labels(transport)
        gauge.inc()
        return gauge.dec

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

    def websocket_closed(self, code: CloseCode | None, *, cut: bool) -> None:
        """Count a WebSocket that we closed with ``code``; None: the client left, or was ``cut`` off untold."""
        left = "cut" if cut else "client"
        self._closes.labels(left if code is None else int(code)).inc()

    def stream_ended(self, end: StreamEnd) -> None:
        """Count an SSE stream that had begun."""
        self._ends.labels(end).inc()

    def reset(self, reason: ResetReason, *, resumed: bool) -> None:
        """Count a viewer that is told the state; ``resumed``: just when it came back with a cursor."""
        self._resets.labels(reason).inc()
        if resumed:
            self._delivery.resumes[ResumeKind.RESET] += 1

    def frame_refused(self, code: ErrorCode) -> None:
        """Count a WebSocket frame that was answered with an error."""
        self._frames_refused.labels(code).inc()

    def store_available(self, available: bool) -> None:
        """Note whether the store can be used now."""
        self._available.set(available)

    def render(self) -> bytes:
        """All series in the text format of Prometheus, of `CONTENT_TYPE`."""
        return generate_latest(self._registry)


class _DeliverySeries(Collector):
    """What delivery counts, in Prometheus' terms: delivery itself adds plain numbers and nothing else."""

    def __init__(self, counts: DeliveryCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Every series as of now."""
        counts = self._counts
        yield CounterMetricFamily("runcast_events_published", "Events of runs.", counts.published)
        yield CounterMetricFamily(
            "runcast_events_delivered", "Events, once for each viewer they were written to.", counts.deliveries
        )
        yield CounterMetricFamily("runcast_delivered_bytes", "Of those, as they left.", counts.bytes)
        yield GaugeMetricFamily(
            "runcast_lagging_viewers", "Subscriptions that wait for their viewer to take more.", counts.lagging
        )
        resumes = CounterMetricFamily(
            "runcast_resumes", "Viewers that came with a cursor, by where they were served from.", labels=["kind"]
        )
        for kind, number in counts.resumes.items():
            resumes.add_metric([kind], number)
        yield resumes
        yield _histogram("runcast_flush_events", "Events of a run that left in one flush.", counts.flush_events)
        yield _histogram("runcast_flush_duration_seconds", "How long a flush takes.", counts.flush_s)
        yield _histogram(
            "runcast_publish_to_flush_seconds",
            "From the publishing of the oldest event of a flush to its end.",
            counts.wait_s,
        )
        yield _histogram(
            "runcast_replay_events",
            "Events between a viewer's cursor and the head as it comes.",
            counts.replay_events,
        )


class _SpendingSeries(Collector):
    """What calls of language models come to, in Prometheus' terms."""

    def __init__(self, counts: SpendingCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Every series as of now."""
        counts = self._counts
        tokens = CounterMetricFamily(
            "runcast_tokens_spent", "Tokens that calls of language models took.", labels=["agent_type"]
        )
        for agent_type, number in counts.tokens.items():
            tokens.add_metric([agent_type], number)
        yield tokens
        yield CounterMetricFamily(
            "runcast_budget_warnings", "Tenants that passed 80 % of a month's tokens.", counts.warnings
        )
        yield CounterMetricFamily(
            "runcast_budget_refusals", "Calls and runs not begun because nothing was left.", counts.refusals
        )
        yield GaugeMetricFamily(
            "runcast_budget_used_ratio",
            "The largest part of this month's tokens that a tenant has used.",
            counts.highest_share(rfc3339()[:7]),
        )


class _RunSeries(Collector):
    """What became of runs, in Prometheus' terms."""

    def __init__(self, counts: RunCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Every series as of now."""
        ended = CounterMetricFamily("runcast_runs_ended", "Runs that ended, by how.", labels=["outcome"])
        for outcome, number in self._counts.outcomes.items():
            ended.add_metric([outcome], number)
        yield ended
        yield CounterMetricFamily(
            "runcast_takeovers", "Runs taken over from a worker that was lost.", self._counts.takeovers
        )


def _histogram(name: str, text: str, values: Distribution) -> HistogramMetricFamily:
    bounds = [*(str(float(bound)) for bound in values.bounds), "+Inf"]
    return HistogramMetricFamily(
        name, text, buckets=[*zip(bounds, accumulate(values.counts), strict=True)], sum_value=values.sum
    )
