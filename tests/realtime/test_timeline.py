"""The timeline of a run: the vectors that hold realtime/timeline.py and the page's timeline-fold.js equal.

In the vectors a step ``sN`` stands at position N with the agent ``aN``, times are seconds after 09:30, and an attempt
is told as its number, start, end, outcome and reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime import timeline
from realtime.events import Event
from realtime.snapshot import RunSnapshot, StepSnapshot
from realtime.timeline import Attempt, StepTimeline, Timeline

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "timeline.json").read_text(encoding="utf-8"))
CASES = [pytest.param(case, id=case["name"]) for case in VECTORS]
TIMES = ("started_at", "completed_at", "retry_at")


def at(second: int | None) -> str | None:
    """The moment that many seconds after 09:30; None stays."""
    return None if second is None else f"2026-02-28T09:{30 + second // 60}:{second % 60:02}.000Z"


def about(step_id: str) -> dict[str, Any]:
    """What events, snapshot and timeline tell alike of a step."""
    return {"agent_type": f"a{step_id[1:]}", "position": int(step_id[1:])}


def events_of(case: dict[str, Any]) -> list[Event]:
    """The case's events, numbered from 1."""
    return [event_of(number, *told) for number, told in enumerate(case["events"], start=1)]


def event_of(
    number: int, kind: str, step_id: str | None, second: int = 0, told: dict[str, Any] | None = None
) -> Event:
    """One event; ``ended`` is the terminal one."""
    subject = {"run_id": "r", "all_done": True} if step_id is None else {"step_id": step_id, **about(step_id)}
    payload = {**subject, **(told or {}), "at": at(second)}
    return Event("r", number, "complete" if kind == "ended" else kind, msgspec.json.encode(payload).decode())


def beginning_of(case: dict[str, Any]) -> Timeline:
    """What the case starts from: its snapshot, else nothing."""
    if "snapshot" not in case:
        return timeline.empty()
    steps = tuple(
        StepSnapshot(
            id=step_id,
            **about(step_id),
            **told | {name: at(told[name]) for name in TIMES if name in told},
        )
        for step_id, told in case["snapshot"].items()
    )
    snapshot = RunSnapshot(
        id="r",
        project_id="p",
        status="running",
        pipeline_mode="parallel",
        agents_selected=(),
        steps=steps,
        last_event_id=0,
        total_tokens=0,
        error_code=None,
        error_message=None,
        started_by="u",
        created_at="2026-02-28T09:30:00.000Z",
        started_at=None,
        completed_at=None,
        server_time="",
    )
    return timeline.from_snapshot(snapshot)


def expected_of(case: dict[str, Any]) -> Timeline:
    """The timeline that the case ends with."""
    return tuple(
        StepTimeline(
            step_id=step_id,
            **about(step_id),
            attempts=tuple(
                Attempt(attempt=number, started_at=at(start) or "", ended_at=at(end), outcome=outcome, reason=reason)
                for number, start, end, outcome, reason in attempts
            ),
        )
        for step_id, attempts in case["timeline"].items()
    )


def applied(start: Timeline, events: list[Event]) -> Timeline:
    """The timeline after all of them."""
    for event in events:
        start = timeline.apply(start, event)
    return start


@pytest.mark.parametrize("case", CASES)
def test_timeline_of_a_vector_is_what_the_vector_says(case: dict[str, Any]) -> None:
    """Steps and attempts follow from events, or from a snapshot and what came after."""
    assert applied(beginning_of(case), events_of(case)) == expected_of(case)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in VECTORS if "snapshot" not in case])
def test_timeline_after_events_that_it_has_had_is_the_same_object(case: dict[str, Any]) -> None:
    """A repeated log opens no attempt twice and ends none again."""
    events = events_of(case)
    whole = applied(timeline.empty(), events)
    assert applied(whole, events) is whole
