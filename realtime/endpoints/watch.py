"""The runs that one WebSocket connection watches: each with its cursor, and what its viewer acked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from realtime.broadcaster import Broadcaster
from realtime.events import RunKey
from realtime.frames import CloseCode, ErrorCode, Limits, Ref
from realtime.outlet import Outlet
from realtime.protocol import ProtocolError
from realtime.subscription import Ending, Subscription


class Watch:
    """One run on one connection. After the run ended it stays for the last acks, without a subscription.

    ``give_back`` is called when nothing more is sent, ``on_close`` when it is taken off the list; each may be called
    more than once.
    """

    def __init__(
        self,
        key: RunKey,
        cursor: int,
        user_id: str,
        client_id: str | None,
        *,
        give_back: Callable[[], None],
        on_close: Callable[[], None],
    ) -> None:
        self.key = key
        self._give_back = give_back
        self._on_close = on_close
        self.user_id = user_id
        self.client_id = client_id
        self.acked = 0
        self.subscription: Subscription | None = None
        self._cursor = cursor

    @property
    def cursor(self) -> int:
        """The newest event id handed to the connection."""
        return self._cursor if self.subscription is None else self.subscription.cursor

    @property
    def live(self) -> bool:
        """True while events may follow."""
        return self.subscription is not None and not self.subscription.closed

    def jump(self, cursor: int) -> None:
        """Go on from ``cursor``, whatever was between; `WatchList.follow` makes the watch live again."""
        self._stop()
        self.subscription = None
        self._cursor = cursor

    def finish(self) -> None:
        """The run has ended, and all of it was sent: this counts as a subscription no more."""
        self._give_back()

    def close(self) -> None:
        """No event follows, and nobody minds who may watch it. Idempotent."""
        self._stop()
        self._give_back()
        self._on_close()

    def _stop(self) -> None:
        if self.subscription is not None:
            self.subscription.close()


def check_room(
    others: int, limits: Limits, ref: Ref, *, run_id: str | None = None, project_id: str | None = None
) -> None:
    """Check that a connection with ``others`` live subscriptions may have one more.

    Raises:
        ProtocolError: TOO_MANY, it has as many as are allowed.

    """
    if others >= limits.subscriptions:
        raise ProtocolError(
            ErrorCode.TOO_MANY,
            f"more than {limits.subscriptions} subscriptions on one connection",
            ref=ref,
            run_id=run_id,
            project_id=project_id,
            close=CloseCode.TOO_MANY,
        )


class WatchList:
    """The watches of one connection, at most ``limits.subscriptions`` of them live together with its ``projects``."""

    def __init__(self, broadcaster: Broadcaster, outlet: Outlet, limits: Limits, projects: Callable[[], int]) -> None:
        self._broadcaster = broadcaster
        self._outlet = outlet
        self._limits = limits
        self._projects = projects
        self._watches: dict[str, Watch] = {}

    def __iter__(self) -> Iterator[Watch]:
        return iter(tuple(self._watches.values()))

    @property
    def live(self) -> int:
        """How many may still send something."""
        return sum(watch.live for watch in self)

    def get(self, run_id: str) -> Watch | None:
        """The watch of that run, live or ended."""
        return self._watches.get(run_id)

    def check_room(self, run_id: str, ref: Ref) -> None:
        """Make room for one more run; ended ones are forgotten for it, oldest first.

        Raises:
            ProtocolError: TOO_MANY, as many as allowed are live.

        """
        others = [watch for watch in self if watch.key.run_id != run_id]
        live = sum(watch.live for watch in others)
        check_room(live + self._projects(), self._limits, ref, run_id=run_id)
        ended = [watch for watch in others if not watch.live]
        for watch in ended[: max(0, len(others) + 1 - self._limits.subscriptions)]:
            self.remove(watch.key.run_id)

    def add(self, watch: Watch) -> None:
        """Put a watch on the list, in place of one of the same run; `follow` makes it live."""
        self.remove(watch.key.run_id)
        self._watches[watch.key.run_id] = watch

    def follow(
        self, watch: Watch, head: int, on_end: Callable[[Watch, Ending], None], *, resumed: bool = False
    ) -> None:
        """Send every event after the watch's cursor, of a log that goes to ``head`` at least; ``resumed``: the client
        gave that cursor.
        """
        watch.subscription = self._broadcaster.subscribe(
            watch.key, watch.cursor, self._outlet, lambda ending: on_end(watch, ending), head=head, resumed=resumed
        )

    def remove(self, run_id: str) -> Watch | None:
        """Take a watch off the list; None: it was not on it."""
        watch = self._watches.pop(run_id, None)
        if watch is not None:
            watch.close()
        return watch

    def close(self) -> None:
        """End every watch; their acks can still be read."""
        for watch in self:
            watch.close()
