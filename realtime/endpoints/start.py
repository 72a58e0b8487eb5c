"""Where a viewer starts in a run's log: at its cursor, or with a reset."""

from __future__ import annotations

from realtime.cursor import Reset, ResetReason, Resume, resolve
from realtime.events import RunKey
from realtime.ports import EventLog
from realtime.snapshot import RunSnapshot


async def find_start(log: EventLog, key: RunKey, run: RunSnapshot, cursor: int | None) -> Resume | Reset:
    """What to give a viewer of ``run`` whose cursor is ``cursor`` (None: it was malformed).

    Only the log of an ended run may be gone; whether it is, is asked before anything is promised.
    """
    start = resolve(cursor, run.last_event_id)
    if isinstance(start, Resume) and run.ended and start.cursor < run.last_event_id:
        due = await log.read(key, start.cursor, 1)
        if not due or due[0].id != start.cursor + 1:
            return Reset(ResetReason.EXPIRED, run.last_event_id)
    return start
