"""What is left when all is over: the runs in the database beside what viewers were sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from records import ARTIFACTS, EVENTS, RESERVATIONS, RUNS, STEPS, Records, Row
from viewers import Viewer


class Faults(msgspec.Struct, kw_only=True, frozen=True):
    """How often a promise was broken; each has to be 0."""

    unfinished: int
    """Runs that did not complete."""
    gaps: int
    """Ids that were missing: in logs, or before an event that a viewer was sent."""
    repeats: int
    """Events that a viewer was sent who had them, by its cursor."""
    resets: int
    """Cursors that were not served."""
    incomplete_viewers: int
    """Viewers who do not hold all of the log."""
    differing: int
    """Events that a viewer was sent with another payload than the log has."""
    doubled_steps: int
    """Steps run to completion more than once, or not once."""
    doubled_artifacts: int
    """Artifacts that a step left beyond its one."""
    miscounted_tokens: int
    """Runs whose tokens are not the sum over their steps, or not what one undisturbed pass costs."""
    uncounted_tokens: int
    """Tokens of runs that the tenant's usage does not have."""
    reservations: int
    """Calls of ended runs that still have tokens put aside."""

    @property
    def none(self) -> bool:
        """All is as promised."""
        return not any(msgspec.structs.astuple(self))


async def judge(records: Records, viewers: Sequence[Viewer], costs: Mapping[str, int], spent: int) -> Faults:
    """Compare. ``costs``: what each run costs in one undisturbed pass; ``spent``: what the tenant's usage says."""
    runs = _of(costs, await records.read(RUNS), "id")
    steps = _of(costs, await records.read(STEPS))
    logs = _logs(_of(costs, await records.read(EVENTS)))
    completed = Counter(step_id for log in logs.values() for step_id in _completions(log))
    artifacts = Counter(row["step_id"] for row in _of(costs, await records.read(ARTIFACTS)))
    sums = Counter[str]()
    for step in steps:
        sums[step["run_id"]] += step["tokens_used"]
    return Faults(
        unfinished=len(costs) - sum(run["status"] == "completed" for run in runs),
        gaps=sum(viewer.gaps for viewer in viewers) + sum(_gaps(logs.get(run["id"], []), run) for run in runs),
        repeats=sum(viewer.repeats for viewer in viewers),
        resets=sum(viewer.resets for viewer in viewers),
        incomplete_viewers=sum(viewer.cursor != len(logs.get(viewer.run_id, [])) for viewer in viewers),
        differing=sum(_differing(viewer, logs.get(viewer.run_id, [])) for viewer in viewers),
        doubled_steps=sum(completed[step["id"]] != 1 for step in steps),
        doubled_artifacts=sum(abs(artifacts[step["id"]] - 1) for step in steps),
        miscounted_tokens=sum(not run["total_tokens"] == sums[run["id"]] == costs[run["id"]] for run in runs),
        uncounted_tokens=max(0, sum(run["total_tokens"] for run in runs) - spent),
        reservations=len(_of(costs, await records.read(RESERVATIONS))),
    )


def _of(costs: Mapping[str, int], rows: Iterable[Row], key: str = "run_id") -> list[Row]:
    return [row for row in rows if row[key] in costs]


def _logs(events: Iterable[Row]) -> dict[str, list[Row]]:
    logs: dict[str, list[Row]] = {}
    for event in events:
        logs.setdefault(event["run_id"], []).append(event)
    return logs


def _completions(log: Iterable[Row]) -> Iterator[str]:
    """The step of each ``complete`` event, but for that of the whole run."""
    for event in log:
        payload = msgspec.json.decode(event["payload"])
        if event["type"] == "complete" and "step_id" in payload:
            yield payload["step_id"]


def _gaps(log: Sequence[Row], run: Row) -> int:
    ids = [event["id"] for event in log]
    return len(set(range(1, run["last_event_id"] + 1)) ^ set(ids))


def _differing(viewer: Viewer, log: Sequence[Row]) -> int:
    kept = {event["id"]: event["payload"] for event in log}
    return sum(kept.get(event_id) != payload for event_id, payload in viewer.payloads.items())
