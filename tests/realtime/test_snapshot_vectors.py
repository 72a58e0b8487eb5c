"""The vectors that hold `applyEvent` of the page equal to `fold`: tests/vectors/fold.json, made here.

Run as a program, this writes the file: ``.venv/bin/python tests/realtime/test_snapshot_vectors.py``.
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from realtime.events import Event
from realtime.snapshot import RunSnapshot, StepSnapshot, fold

FILE = Path(__file__).parents[1] / "vectors" / "fold.json"
CREATED, STARTED, LATER, LAST = (f"2026-02-28T09:30:{second}.000Z" for second in ("00", "01", "20", "59"))

Told = tuple[str, dict[str, Any]]
"""One event: its type and payload."""

STEPS = tuple(
    StepSnapshot(id=f"s{position}", agent_type=f"a{position}", position=position, status="queued")
    for position in (1, 2)
)
ACCEPTED = RunSnapshot(
    id="r",
    project_id="p",
    status="queued",
    pipeline_mode="parallel",
    agents_selected=("a1", "a2"),
    steps=STEPS,
    last_event_id=2,
    total_tokens=0,
    error_code=None,
    error_message=None,
    started_by="u",
    created_at=CREATED,
    started_at=None,
    completed_at=None,
    server_time=CREATED,
)
UNDER_WAY = replace(
    ACCEPTED,
    status="running",
    started_at=STARTED,
    last_event_id=7,
    total_tokens=11,
    heartbeat_age_s=2.5,
    steps=(
        replace(STEPS[0], status="running", progress_pct=40, attempt=1, started_at=STARTED, progress_age_s=70.5),
        replace(STEPS[1], status="completed", progress_pct=100, tokens_used=11, artifact_id="f2", completed_at=LATER),
    ),
)


def running(percent: int, at: str = LATER, step: str = "s1", **told: Any) -> Told:
    """A step starts, progresses, waits or stalls."""
    progress = {"progress_pct": percent, "progress_label": f"at {percent}", "attempt": 1}
    return "running", {"step_id": step, **progress, **told, "at": at}


def complete(tokens: int, step: str = "s1", **told: Any) -> Told:
    """A step succeeds."""
    return "complete", {"step_id": step, "tokens_used": tokens, "artifact_id": "f1", **told, "at": LAST}


def error(code: str, step: str = "s1", **told: Any) -> Told:
    """A step fails, or is cancelled."""
    return "error", {"step_id": step, "error_code": code, "message": f"{step} ended", **told, "at": LAST}


def end(code: str | None = None, **told: Any) -> Told:
    """The run ends."""
    failure = {} if code is None else {"error": True, "error_code": code, "message": "The run ended."}
    return "complete", {"run_id": "r", "all_done": True, **failure, **told, "at": LAST}


QUEUED: Told = ("queued", {"step_id": "s1", "agent_type": "a1", "position": 1, "total_steps": 2, "at": CREATED})
WAITING = running(40, retry_at=LAST, reason="no answer")
STALLED = running(40, stalled=True)

STORIES: list[tuple[str, RunSnapshot, int, list[Told]]] = [
    ("a plan is in the snapshot from the beginning", ACCEPTED, 3, [QUEUED]),
    ("the first start starts the run, and no other does", ACCEPTED, 3, [running(0, STARTED), running(0, step="s2")]),
    ("progress moves a step and begins its age anew", UNDER_WAY, 8, [running(41, progress_label=None)]),
    ("a wait stands until the next attempt", UNDER_WAY, 8, [WAITING, running(0, attempt=2)]),
    ("a stall keeps its age until the next progress", UNDER_WAY, 8, [STALLED, STALLED, running(41)]),
    ("tokens of all steps are added", UNDER_WAY, 8, [complete(5, duration_ms=9, cached=False, reused=False), end()]),
    ("a wait ends with success", UNDER_WAY, 8, [WAITING, complete(0, cached=True)]),
    ("a stall ends with failure", UNDER_WAY, 8, [STALLED, error("STEP_FAILED")]),
    ("a failure has its finer reason", UNDER_WAY, 8, [WAITING, error("STEP_FAILED", reason="BUDGET_EXCEEDED")]),
    ("a step kept from another run has no start", ACCEPTED, 3, [complete(0, reused=True), running(0, step="s2")]),
    ("a cancelled run says by whom", UNDER_WAY, 8, [error("STEP_CANCELLED"), end("CANCELLED", cancelled_by="u2")]),
    ("a run cancelled before its start has none", ACCEPTED, 3, [error("STEP_CANCELLED"), end("CANCELLED")]),
    ("a run fails with a step", UNDER_WAY, 8, [error("STEP_FAILED"), end("STEP_FAILED")]),
    ("events that are contained change nothing", UNDER_WAY, 6, [running(10), end(), running(42)]),
    ("an unknown step moves the cursor", UNDER_WAY, 8, [running(9, step="s9"), complete(9, "s9"), error("X", "s9")]),
    ("an unknown step starts the run", ACCEPTED, 3, [running(9, step="s9")]),
    (
        "unknown fields are ignored",
        UNDER_WAY,
        8,
        [running(41, mood="good"), complete(5, mood="good"), end(mood="good")],
    ),
]
"""Every branch of `fold`: a name, where it begins, the id of the first event, and the events."""


def vector(name: str, snapshot: RunSnapshot, first: int, told: list[Told]) -> dict[str, Any]:
    """One case: the events, and the whole state after each of them."""
    events = [
        {"id": number, "type": kind, "run_id": "r", "payload": payload}
        for number, (kind, payload) in enumerate(told, start=first)
    ]
    log = (Event("r", each["id"], each["type"], msgspec.json.encode(each["payload"]).decode()) for each in events)
    _, *states = accumulate(log, fold, initial=snapshot)
    return {"name": name, "snapshot": snapshot, "events": events, "states": states}


def vectors() -> str:
    """The file as it has to be: one case a line."""
    lines = (msgspec.json.encode(vector(*story)).decode() for story in STORIES)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def test_vectors_of_fold_are_those_of_the_fold_there_is() -> None:
    """What the page's fold is held to is what this fold does now."""
    assert FILE.read_text(encoding="utf-8") == vectors(), (
        "tests/vectors/fold.json is not what realtime.snapshot.fold gives. If the change is wanted, renew it with "
        ".venv/bin/python tests/realtime/test_snapshot_vectors.py and make apply-event.js give the same"
    )


if __name__ == "__main__":
    FILE.write_text(vectors(), encoding="utf-8")
