"""The time of day, as it stands in every field that holds one."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339() -> str:
    """The time now: RFC 3339, UTC, milliseconds, ``Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
