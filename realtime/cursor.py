"""What a viewer asks to continue after, and what it can be given. Pure."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class ResetReason(StrEnum):
    """Why a cursor cannot be served; sent to the viewer with the state as it is now."""

    MALFORMED = "malformed_cursor"
    AHEAD = "cursor_ahead_of_log"
    EXPIRED = "log_expired"


class Resume(msgspec.Struct, frozen=True):
    """Events after ``cursor`` follow."""

    cursor: int


class Reset(msgspec.Struct, frozen=True):
    """Forget what you had: here is the state as of ``cursor``, and events after it follow."""

    reason: ResetReason
    cursor: int


def parse_cursor(raw: object) -> int | None:
    """The event id that ``raw`` (a number, or its decimal text) means; None: it means none."""
    if isinstance(raw, str):
        plain = raw.isascii() and raw.isdigit() and len(raw) <= 18
        return int(raw) if plain else None
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw < 10**18:
        return raw
    return None


def resolve(cursor: int | None, head: int) -> Resume | Reset:
    """What to give a viewer whose cursor is ``cursor`` (None: it was malformed), when the log ends at ``head``."""
    if cursor is None:
        return Reset(ResetReason.MALFORMED, head)
    if cursor > head:
        return Reset(ResetReason.AHEAD, head)
    return Resume(cursor)
