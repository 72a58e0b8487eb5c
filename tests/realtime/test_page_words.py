"""The words of the first paint: sizes, attempts on their track, and figures that nobody has to compute by hand."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.durations import DurationRange
from realtime.endpoints.page_data import PageData
from realtime.endpoints.page_words import AttemptWords, RunWords, size_text, words_of
from realtime.ports import AgentInfo
from realtime.snapshot import RunSnapshot, StepSnapshot
from realtime.timeline import Attempt, StepTimeline

AGENT = AgentInfo(agent_type="poet", name="The poet", needs="ink", gives="poems")


def at(seconds: float) -> str:
    """That many seconds into the run."""
    return f"2026-01-01T00:00:{seconds:06.3f}Z"


def data(*attempts: Attempt, completed_at: str | None = None, **fields: Any) -> PageData:
    """A page of a run of one poet, 40 seconds after it started."""
    step = StepSnapshot(id="s", agent_type="poet", position=1, status="running", progress_pct=40, tokens_used=50_000)
    run = RunSnapshot(
        id="r" * 36,
        project_id="p",
        status="running",
        pipeline_mode="sequential",
        agents_selected=("poet",),
        steps=(step,),
        last_event_id=5,
        total_tokens=50_000,
        error_code=None,
        error_message=None,
        started_by="u",
        created_at=at(0),
        started_at=at(0),
        completed_at=completed_at,
        server_time=at(40),
    )
    told: dict[str, Any] = {
        "project_id": "p",
        "project_name": "Shop",
        "may_stream": True,
        "may_start": True,
        "may_cancel": True,
        "agents": (AGENT,),
        "run": run,
        "timeline": (StepTimeline(step_id="s", agent_type="poet", position=1, attempts=attempts),),
        "runs": (),
        "expected": None,
        "price_per_mtok": None,
        "currency": "USD",
        "server_time": at(40),
    }
    return PageData(**told | fields)


def run_of(page: PageData) -> RunWords:
    """What the page says of the run."""
    return words_of(page).run


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (1150, "1.1 KB"),
        (1250, "1.3 KB"),
        (9_960, "10.0 KB"),
        (10_500, "11 KB"),
        (999_499, "999 KB"),
        (5_000_000, "5.0 MB"),
        (4_000_000_000, "4000 MB"),
    ],
)
def test_size_is_as_the_script_has_it(size: int, text: str) -> None:
    """One decimal below ten, rounded as JavaScript's toFixed and Math.round do it."""
    assert size_text(size) == text


def test_attempts_have_their_place_on_the_track() -> None:
    """In thousandths of the run so far: what took no time is thin but seen, what goes on reaches the end."""
    attempts = (
        Attempt(attempt=1, started_at=at(0), ended_at=at(10), outcome="failed", reason="poet failed: no ink"),
        Attempt(attempt=2, started_at=at(20), ended_at=at(20), outcome="interrupted"),
        Attempt(attempt=3, started_at=at(30)),
    )
    (track,) = run_of(data(*attempts)).timeline
    assert track.name == "The poet"
    assert track.attempts == (
        AttemptWords(outcome="failed", x=0, width=250, text="Attempt 1 · 0:10 · failed: The poet failed: no ink"),
        AttemptWords(outcome="interrupted", x=500, width=4, text="Attempt 2 · 0:00 · interrupted"),
        AttemptWords(outcome="running", x=750, width=250, text="Attempt 3 · 0:10 · running"),
    )


def test_attempt_at_the_very_end_stays_on_the_track() -> None:
    """Also where it began in the millisecond in which the run ended, or after it by the clock of another server."""
    (track,) = run_of(data(Attempt(attempt=1, started_at=at(41), ended_at=at(42)), completed_at=at(40))).timeline
    assert [(one.x, one.width) for one in track.attempts] == [(996, 4)]


def test_figures_of_a_run_are_said_where_they_are_known() -> None:
    """What it usually takes and costs is there with past runs and a price, and empty without."""
    bare = run_of(data())
    assert (bare.elapsed, bare.tokens, bare.expected, bare.cost) == ("0:40", "50,000", "", "")
    usual = DurationRange(samples=3, low_s=120, high_s=240)
    told = run_of(data(expected=usual, price_per_mtok=0.4, currency="EUR"))
    assert (told.expected, told.cost) == ("usually 2–4 min", "about 0.02 EUR")
    few = run_of(data(expected=DurationRange(samples=2)))
    assert few.expected == ""


def test_run_that_is_followed_is_said_to_be_connected_to() -> None:
    """Only where scripts will do so: the role may watch, and the run goes on."""
    followed = words_of(data())
    assert (followed.followed, followed.run.connection) == (True, "connecting")
    for page in (data(may_stream=False), data(completed_at=at(40))):
        assert (words_of(page).followed, words_of(page).run.connection_text) == (False, "")
