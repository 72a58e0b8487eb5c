"""What a run happens in: who is told of it, and time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from orchestrator.records import SavedEvent


class Publisher(Protocol):
    """Where saved events are told to whoever watches."""

    def publish(self, tenant: str, run_id: str, events: Sequence[SavedEvent]) -> None:
        """Tell viewers. Called after commit, in the order of the ids. Never waits and never raises."""
        ...


class Clock(Protocol):
    """Durations, waits, and the calendar; the times in a run's log are the store's."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...
