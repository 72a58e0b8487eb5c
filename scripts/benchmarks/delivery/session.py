"""One server, its viewers, and what they get: what every measurement of delivery is made of."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from delivery.catalogue import Server
from delivery.follower import Tally
from delivery.processes import cpu_ns, rss_kb
from delivery.publishers import ByCommand, ByPost, HttpConnection, Load, Publishing
from delivery.reactor import Reactor
from delivery.reference import Reference
from delivery.server_process import ServerProcess
from delivery.viewers import Viewer, ViewerError, reference_for

CONNECT_S = 60.0
AT_ONCE = 64
"""Connections on their way at a time, where they are not what is measured."""
WARM_UP = 8
SILENCE_S = 8.0
"""Without a delivery for so long after the last publish, what is missing is lost."""
WARM_UP_SETTLE_S = 0.1
SETTLE_S = 0.3
EXTRA_S = 0.1
"""Waited after the last event, for such as come twice."""


class Session:
    """A server that runs. Made by `session`."""

    def __init__(self, server: Server, transport: str, process: ServerProcess, reactor: Reactor) -> None:
        self.server = server
        self.transport = transport
        self.process = process
        self.reactor = reactor
        self.tally = Tally()
        self.viewers: list[Viewer] = []
        self._published = 0
        self._references: dict[int, Reference] = {}
        self._connection: HttpConnection | None = None

    @property
    def versions(self) -> dict[str, str]:
        """What the server is made of."""
        return dict(self.process.told["versions"])

    @property
    def head(self) -> int:
        """The newest event id of each run that is published to."""
        return int(self.process.told["heads"][0]) + self._published

    @property
    def cpu_ns(self) -> int:
        """CPU time of the server so far."""
        return cpu_ns(self.process.pids)

    @property
    def rss_kb(self) -> int:
        """Resident memory of the server now."""
        return rss_kb(self.process.pids)

    def connect(
        self,
        count: int,
        *,
        runs: int = 1,
        cursor: int | None = None,
        at_once: int = AT_ONCE,
        receive_buffer: int | None = None,
    ) -> list[Viewer]:
        """So many more viewers, the runs in turn; all watch when this returns.

        Raises:
            ViewerError: one was refused, or they took too long.

        """
        waiting = deque(self._viewer(number % runs, cursor) for number in range(count))
        made = list(waiting)
        self.viewers += made
        ready, begun = self.tally.ready, 0

        def all_ready() -> bool:
            nonlocal begun
            while waiting and begun - (self.tally.ready - ready) < at_once:
                waiting.popleft().begin(self.reactor, receive_buffer)
                begun += 1
            return self.tally.ready - ready == count

        if not self.reactor.run_until(all_ready, CONNECT_S):
            raise ViewerError(f"{self.tally.ready - ready} of {count} viewers watch after {CONNECT_S:g} s")
        return made

    def publish(self, load: Load) -> Publishing:
        """Begin to publish; every run with viewers gets ``load.events`` events."""
        self._published += load.events
        if not self.server.over_http:
            return ByCommand(self.process, load)
        if self._connection is None:
            self._connection = HttpConnection(self.reactor, self.process.told["port"], load.runs)
        return ByPost(self._connection, load)

    def deliver(self, load: Load) -> None:
        """Publish, and return when all viewers have everything, or nothing more comes.

        Raises:
            ServerError: the server did not publish everything.

        """
        expected = len(self.tally.latencies) + load.events * len(self.viewers)
        publishing = self.publish(load)
        latencies = self.tally.latencies
        self.run_until(lambda: publishing.done or self.process.ended, load.seconds * 10 + CONNECT_S, publishing.tick)
        if not publishing.done or self.process.ended:
            raise self.process.error(f"did not publish {load.events} events in each of {load.runs} runs")
        while len(latencies) < expected:
            before = len(latencies)
            self.run_until(lambda: len(latencies) >= expected, SILENCE_S)
            if len(latencies) == before:
                break

    def settle(self, seconds: float = SETTLE_S) -> None:
        """Give what still comes the time to come."""
        self.run_until(lambda: False, seconds)

    def run_until(self, done: Callable[[], bool], timeout_s: float, tick: Callable[[], float] | None = None) -> bool:
        """Serve the viewers; see `Reactor.run_until`."""
        return self.reactor.run_until(done, timeout_s, tick)

    def missed(self, viewers: Sequence[Viewer], first: int, count: int) -> tuple[int, int]:
        """How many of the events from id ``first`` on, ``count`` per run, they did not get, and how many again.

        Whatever id is not above all that the viewer got before counts as repeated, as does one beyond the last.
        """
        self.run_until(lambda: False, EXTRA_S)
        known: dict[tuple[int, int], tuple[int, int]] = {}
        lost = repeated = 0
        for viewer in viewers:
            reference, events = viewer.stream.reference, viewer.stream.events
            key = (id(reference), events)
            if key not in known:
                known[key] = _missed(reference.ids[:events], range(first, first + count))
            lost, repeated = lost + known[key][0], repeated + known[key][1]
        return lost, repeated

    def close(self) -> None:
        """Let go of every connection."""
        for viewer in self.viewers:
            viewer.close()
        if self._connection is not None:
            self._connection.close()

    def warm_up(self) -> None:
        """Have the server do once what it does for the first viewer only, such as importing."""
        for viewer in self.connect(WARM_UP):
            viewer.close()
        self.viewers.clear()
        self._references.clear()
        self.settle(WARM_UP_SETTLE_S)

    def _viewer(self, run: int, cursor: int | None) -> Viewer:
        told = self.process.told
        reference = self._references.setdefault(run, reference_for(self.transport))
        return Viewer(told["port"], self.server.open(told, self.transport, run, cursor), reference, self.tally)


def _missed(ids: Sequence[int], expected: range) -> tuple[int, int]:
    lost = len(expected) - len(set(ids) & set(expected))
    repeated, highest = 0, expected.start - 1
    for number in ids:
        if number <= highest or number not in expected:
            repeated += 1
        highest = max(highest, number)
    return lost, repeated


@contextmanager
def session(server: Server, transport: str, **options: object) -> Iterator[Session]:
    """A fresh process of the server, warmed up; it ends with the context, and all connections with it."""
    with ExitStack() as stack:
        reactor = stack.enter_context(Reactor())
        process = stack.enter_context(ServerProcess(server.name, server.program, {**server.options, **options}))
        process.start(reactor)
        running = Session(server, transport, process, reactor)
        stack.callback(running.close)
        gc.collect()
        gc.disable()
        stack.callback(gc.enable)
        try:
            running.warm_up()
            yield running
        except (ViewerError, OSError) as error:
            raise process.error(str(error)) from error
