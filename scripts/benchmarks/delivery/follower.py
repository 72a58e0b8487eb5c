"""The hot path of the generator: compare what a viewer gets with its run's reference, and count what is whole."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from time import monotonic_ns

from delivery.reference import Reference
from delivery.wire import Message

READ_BYTES = 16 * 1024


class Tally:
    """What all viewers of one measurement got: for every delivery, how long it took from the publish call, in ns."""

    def __init__(self) -> None:
        self.latencies = array("q")
        self.ready = 0

    def clear(self) -> None:
        """Forget the deliveries so far."""
        del self.latencies[:]


class Follower:
    """Follows a stream that is read with ``receive``, from its beginning.

    ``strip`` takes off what is around the stream, such as chunks. ``answer`` is called with whole messages that are
    no events, and ``gone`` when the stream has ended.
    """

    __slots__ = (
        "_answer",
        "_answered",
        "_at",
        "_gone",
        "_latencies",
        "_receive",
        "_strip",
        "events",
        "last_ns",
        "reference",
    )

    def __init__(
        self,
        reference: Reference,
        tally: Tally,
        receive: Callable[[int], bytes],
        *,
        strip: Callable[[bytes], bytes] | None,
        answer: Callable[[Message], None],
        gone: Callable[[], None],
    ) -> None:
        self.reference = reference
        self.events = 0
        """How many events have come whole: the first of the reference's."""
        self.last_ns = 0
        """When the newest of them came."""
        self._latencies = tally.latencies
        self._receive = receive
        self._strip = strip
        self._answer = answer
        self._gone = gone
        self._at = 0
        self._answered = 0

    def read(self) -> None:
        """Take what has come."""
        try:
            data = self._receive(READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self.take(data)
        else:
            self._gone()

    def take(self, data: bytes) -> None:
        """Take these bytes."""
        if self._strip is not None:
            data = self._strip(data)
        reference = self.reference
        end = self._at + len(data)
        if end > len(reference.stream) or not reference.stream.startswith(data, self._at):
            self._learn(data)
            reference = self.reference
            end = self._at + len(data)
        self._at = end
        index, ends = self.events, reference.ends
        if index < len(ends) and ends[index] <= end:
            now = self.last_ns = monotonic_ns()
            while index < len(ends) and ends[index] <= end:
                self._latencies.append(now - reference.sent_ns[index])
                index += 1
            self.events = index
        if self._answered < len(reference.others):
            self._answer_until(end)

    def _learn(self, data: bytes) -> None:
        """Put the bytes into the reference: nobody got them before, or they are this viewer's alone, such as a ping.

        In the latter case it has a reference of its own from here on, and all it gets is parsed.
        """
        known = len(self.reference.stream) - self._at
        if known > len(data) or not self.reference.stream.startswith(data[:known], self._at):
            self.reference, self._at = self.reference.fork(self.events, self._at)
            self._answered, known = len(self.reference.others), 0
        self.reference.extend(data[known:])

    def _answer_until(self, end: int) -> None:
        for message in self.reference.others[self._answered :]:
            if message.end > end:
                break
            self._answered += 1
            self._answer(message)
