"""What a watch yields, and what its connections tell it. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Literal

import msgspec

from realtime.client.errors import LinkLostError
from realtime.snapshot import RunSnapshot


class RunEvent(msgspec.Struct, frozen=True):
    """One event of a run's log: ``id`` counts 1, 2, 3 …; what is in ``payload`` depends on ``type``."""

    run_id: str
    id: int
    type: str
    payload: dict[str, Any]

    @property
    def terminal(self) -> bool:
        """True for the last event of a run."""
        return self.type == "complete" and self.payload.get("all_done") is True

    @property
    def failed(self) -> bool:
        """True where a step, or with the terminal event the run, did not succeed."""
        return self.type == "error" or self.payload.get("error") is True


class Reset(msgspec.Struct, frozen=True):
    """The cursor could not be served: forget what you had, take ``snapshot``; events after ``id`` follow.

    It has the three attributes of an event, so that a loop may look at ``type`` alone.
    """

    run_id: str
    id: int
    reason: str
    snapshot: RunSnapshot
    type: Literal["reset"] = "reset"

    @property
    def final(self) -> bool:
        """True where the run has ended: no event follows."""
        return self.snapshot.ended and self.id >= self.snapshot.last_event_id

    @property
    def payload(self) -> dict[str, Any]:
        """The reason and the snapshot as plain values."""
        snapshot: dict[str, Any] = msgspec.to_builtins(self.snapshot)
        return {"reason": self.reason, "snapshot": snapshot}


class Transport(StrEnum):
    """How events travel."""

    WEBSOCKET = "websocket"
    SSE = "sse"


class ConnectionState(msgspec.Struct, frozen=True):
    """How a watch is connected: ``waiting`` has a reason, and says after how many seconds it tries again."""

    state: Literal["connecting", "live", "waiting"]
    transport: Transport
    reason: str = ""
    retry_in_s: float = 0.0


class Attached(msgspec.Struct, frozen=True):
    """The subscription stands. Over WebSocket it brings a snapshot, and the cursor after which events follow."""

    snapshot: RunSnapshot | None = None
    cursor: int | None = None


class Pulse(msgspec.Struct, frozen=True):
    """The server is there and has nothing new."""


class Finished(msgspec.Struct, frozen=True):
    """The log has ended and all of it was sent."""


LinkMessage = Attached | RunEvent | Reset | Pulse | Finished
"""What a connection yields. It ends by `LinkLostError` or `ServerRefusedError`, or after `Finished`."""


class Position:
    """Where one watch stands in one run's log; it outlives connections."""

    def __init__(self, run_id: str, cursor: int | None) -> None:
        self.run_id = run_id
        self.cursor = cursor
        self.snapshot: RunSnapshot | None = None
        self.ended = False

    def attach(self, attached: Attached) -> None:
        """Note what a new subscription brought."""
        self.snapshot = attached.snapshot or self.snapshot
        if self.cursor is None:
            self.cursor = attached.cursor or 0

    @property
    def in_sync(self) -> bool:
        """True where the newest snapshot has nothing that was not yielded."""
        return self.snapshot is not None and self.cursor == self.snapshot.last_event_id

    def reset(self, reset: Reset) -> None:
        """Start again from what ``reset`` says."""
        self.snapshot = reset.snapshot
        self.cursor = reset.id
        self.ended = reset.final

    def take(self, event: RunEvent) -> bool:
        """Move on to ``event``; False: it was here before.

        Raises:
            LinkLostError: it is not the next one. The log has no gaps, so this connection lost something.

        """
        cursor = self.cursor or 0
        if event.id <= cursor:
            return False
        if event.id > cursor + 1:
            raise LinkLostError(f"event {event.id} arrived where {cursor + 1} was expected")
        self.cursor = event.id
        self.ended = event.terminal
        return True

    def finish(self) -> None:
        """Nothing more will come.

        Raises:
            LinkLostError: something should have come before.

        """
        if self.snapshot is not None and (self.cursor or 0) < self.snapshot.last_event_id:
            raise LinkLostError(f"the stream ended at event {self.cursor} of {self.snapshot.last_event_id}")
        self.ended = True


class Backoff:
    """How long to wait before the next connection: full jitter under a bound that doubles from 0.5 to 20 seconds."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._failures = 0

    def delay_s(self) -> float:
        """The next delay in seconds."""
        bound = min(20.0, 0.5 * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return self._uniform(0.0, bound)

    def reset(self) -> None:
        """There was progress: start small again."""
        self._failures = 0


class TransportChoice:
    """Which transport to try next: the first of the list, and the next one where it fails twice without progress."""

    def __init__(self, transports: Sequence[Transport]) -> None:
        if not transports:
            raise ValueError("expected one transport or more, got none")
        self._transports = tuple(transports)
        self._index = 0
        self._failures = 0

    @property
    def current(self) -> Transport:
        """The one to try."""
        return self._transports[self._index]

    def progressed(self) -> None:
        """It carried an event or a heartbeat."""
        self._failures = 0

    def failed(self, lost: LinkLostError) -> bool:
        """Note how it ended; True: the other one should be tried at once."""
        self._failures += lost.counts
        if not lost.unavailable and self._failures < 2:
            return False
        self._failures = 0
        self._index = (self._index + 1) % len(self._transports)
        return lost.unavailable and self._index != 0
