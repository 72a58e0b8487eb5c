"""When a failed step is tried again."""

from __future__ import annotations

import msgspec

STORE_RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)
"""Waits before that is tried again which a store refused that should be able to keep it."""

LONGEST_ASKED_S = 120.0
"""A provider may ask for hours."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """Waits between attempts, in seconds: the first retry after ``delays_s[0]``, and so on, then no more."""

    delays_s: tuple[float, ...] = (5.0, 10.0, 20.0)

    def delay_after(self, attempt: int, asked_s: float = 0.0) -> float | None:
        """Seconds to wait after failed attempt number ``attempt`` (from 1); None: it was the last.

        ``asked_s``: whoever failed asks to be left alone for so long, which is granted up to `LONGEST_ASKED_S`.
        """
        if attempt > len(self.delays_s):
            return None
        return max(self.delays_s[attempt - 1], min(asked_s, LONGEST_ASKED_S))
