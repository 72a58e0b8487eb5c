"""One run's stream, parsed once for all its viewers.

All viewers of a run get the same bytes, so only those that nobody got before are parsed; of every other viewer it is
enough to compare bytes. That is what makes the generator cheaper than the servers it measures.
"""

from __future__ import annotations

from array import array

from delivery.wire import Message, NextMessage, Stripped, read_event


class Reference:
    """The longest stream that any viewer of the run got so far, and where in it which events end."""

    def __init__(self, next_message: NextMessage) -> None:
        self.next_message = next_message
        self.stream = bytearray()
        self.ends: list[int] = []
        self.ids = array("q")
        self.sent_ns = array("q")
        self.others: list[Message] = []
        """Whole messages that are no events, such as a ping."""
        self.stripped = Stripped()
        self._parsed = 0

    def extend(self, data: bytes) -> None:
        """Append what comes next."""
        self.stream += data
        while (message := self.next_message(self.stream, self._parsed)) is not None:
            self._parsed = message.end
            event = read_event(message)
            if event is None:
                self.others.append(message)
                continue
            self.ends.append(message.end)
            self.ids.append(event.id)
            self.sent_ns.append(event.sent_ns)

    def fork(self, events: int, at: int) -> tuple[Reference, int]:
        """A reference of its own for a viewer that got these first ``events`` and the bytes up to ``at``.

        It begins behind the last of those events: their ids are in it, their bytes are not. Also returned: how many
        bytes it holds.
        """
        own = Reference(self.next_message)
        boundary = self.ends[events - 1] if events else 0
        own.ends = [0] * events
        own.ids, own.sent_ns = self.ids[:events], self.sent_ns[:events]
        own.extend(bytes(self.stream[boundary:at]))
        return own, at - boundary
