"""What the page says of a run: the vectors that hold realtime/facts.py and the page's facts.js equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from realtime import facts
from realtime.snapshot import Overall, RunSnapshot, StepSnapshot

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "facts.json").read_text(encoding="utf-8"))
CASES = [
    pytest.param(name, case["given"], case["gives"], id=f"{name}-{number}")
    for name, cases in VECTORS.items()
    for number, case in enumerate(cases)
]


def run(told: dict[str, Any]) -> RunSnapshot:
    """A run with what the vector tells of it; its steps are told as status and percent."""
    steps = tuple(
        StepSnapshot(id=f"s{position}", agent_type="a", position=position, status=status, progress_pct=percent)
        for position, (status, percent) in enumerate(told.get("steps", []), start=1)
    )
    return RunSnapshot(
        id="r",
        project_id="p",
        status=told["status"],
        pipeline_mode="parallel",
        agents_selected=("a",) * len(steps),
        steps=steps,
        last_event_id=1,
        total_tokens=0,
        error_code=None,
        error_message=None,
        started_by="u",
        created_at="2026-02-28T09:29:00.000Z",
        started_at=told.get("started_at"),
        completed_at=told.get("completed_at"),
        server_time="",
    )


@pytest.mark.parametrize(("name", "given", "gives"), CASES)
def test_fact_of_a_vector_is_what_the_vector_gives(name: str, given: list[Any], gives: Any) -> None:
    """Each function says what page and first paint both say, awkward values included."""
    said = getattr(facts, name)(*(run(told) if isinstance(told, dict) else told for told in given))
    assert (said._asdict() if isinstance(said, Overall) else said) == gives


def test_vectors_reach_every_function() -> None:
    """A fact without a vector could differ between the two."""
    public = {
        name
        for name, value in vars(facts).items()
        if getattr(value, "__module__", None) == facts.__name__ and callable(value) and not name.startswith("_")
    }
    assert set(VECTORS) == public | {"overall"}  # which the snapshot's module counts, for lists of runs, too
