"""When a failed step is tried again."""

from __future__ import annotations

import msgspec


class RetryPolicy(msgspec.Struct, frozen=True):
    """Waits between attempts, in seconds: the first retry after ``delays_s[0]``, and so on, then no more."""

    delays_s: tuple[float, ...] = (5.0, 10.0, 20.0)

    def delay_after(self, attempt: int) -> float | None:
        """Seconds to wait after failed attempt number ``attempt`` (from 1); None: it was the last."""
        return self.delays_s[attempt - 1] if attempt <= len(self.delays_s) else None
