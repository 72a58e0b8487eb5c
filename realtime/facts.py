"""What the page says of a run in figures and words. Pure.

The same functions are in realtime/web/static/elements/facts.js, for after the first paint; tests/vectors/facts.json
holds the two equal. Halves are rounded up, as neither language does of itself.
"""

from __future__ import annotations

from math import floor

from realtime.snapshot import RunSnapshot, epoch_ms, overall

PRODUCT = "Runcast"

_STATUS = {
    "queued": "Queued",
    "running": "Running",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
_MARKS = {"completed": "✓ ", "failed": "✗ ", "cancelled": "✗ "}
_ICONS = {
    "queued": "icon-running",
    "running": "icon-running",
    "completed": "icon-complete",
    "failed": "icon-error",
    "cancelled": "icon-error",
}


def elapsed_ms(state: RunSnapshot, now_ms: int) -> int | None:
    """Milliseconds since the run started, until it ended or ``now_ms`` (since 1970); None where it never started."""
    if state.started_at is None:
        return None
    until = now_ms if state.completed_at is None else epoch_ms(state.completed_at)
    return max(0, until - epoch_ms(state.started_at))


def duration_text(ms: float) -> str:
    """``0:07``, ``1:04``, ``1:02:09``: whole seconds that have passed, never fewer than none."""
    minutes, seconds = divmod(max(0, floor(ms / 1000)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def expected_text(low_s: float, high_s: float) -> str:
    """``usually about 2 min`` where both ends round alike, else from one to the other; ``high_s`` chooses the unit.

    Below 90 s in steps of 5 seconds, from 2 hours on in halves of an hour, else in minutes; never less than one such.
    """
    if high_s < 90:
        unit, size_s, step = "s", 1, 5.0
    elif high_s < 7200:
        unit, size_s, step = "min", 60, 1.0
    else:
        unit, size_s, step = "h", 3600, 0.5
    low, high = (max(step, _rounded(seconds / size_s / step) * step) for seconds in (low_s, high_s))
    return f"usually about {high:g} {unit}" if low == high else f"usually {low:g}\N{EN DASH}{high:g} {unit}"


def tokens_text(count: int) -> str:
    """``1,204``."""
    return f"{count:,}"


def cost_text(tokens: int, price_per_mtok: float | None, currency: str) -> str:
    """``about 0.02 USD`` or ``below 0.01 USD``; empty where nothing was used, or a million tokens has no price."""
    if not tokens or not price_per_mtok:
        return ""
    cents = tokens * price_per_mtok / 10_000
    return f"below 0.01 {currency}" if cents < 1 else f"about {_rounded(cents) / 100:,.2f} {currency}"


def _rounded(value: float) -> int:
    return floor(value + 0.5)


def status_text(status: str) -> str:
    """The status of a run in a word for people; a status that is unknown here is its own."""
    return _STATUS.get(status, status)


def title_text(state: RunSnapshot | None, project_name: str) -> str:
    """The title of the project's page, with the run that it shows first: a tab shows the beginning."""
    if state is None:
        return f"Runs · {project_name} · {PRODUCT}"
    mark = f"{overall(state).percent} % · " if state.status == "running" else _MARKS.get(state.status, "")
    return f"{mark}{status_text(state.status)} · {project_name} · {PRODUCT}"


def icon_name(state: RunSnapshot | None) -> str:
    """The page's icon, ``/static/NAME.svg``: how the run that it shows is, or that it shows none."""
    return "icon" if state is None else _ICONS.get(state.status, "icon")
