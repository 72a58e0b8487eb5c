"""Folding events into a snapshot, and unfolding it into events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from properties import PROPERTY
from store_material import without_ages

from orchestrator.events import Fact, RunEnded, StepComplete, StepError, StepQueued, StepRunning, encode_payload
from realtime.events import Event
from realtime.snapshot import RunSnapshot, RunSummary, StepSnapshot, fold, summarise, terminal_event, unfold

AGENTS = ("a1", "a2", "a3")


def at(second: int) -> str:
    """The moment that many seconds after the run was accepted."""
    return f"2026-02-28T09:{30 + second // 60}:{second % 60:02}.000Z"


def accepted(agents: tuple[str, ...] = AGENTS) -> RunSnapshot:
    """A run of which only the request is known."""
    return RunSnapshot(
        id="r",
        project_id="p",
        status="queued",
        pipeline_mode="parallel",
        agents_selected=agents,
        steps=tuple(
            StepSnapshot(id=f"s{position}", agent_type=agent, position=position, status="queued")
            for position, agent in enumerate(agents, start=1)
        ),
        last_event_id=0,
        total_tokens=0,
        error_code=None,
        error_message=None,
        started_by="u",
        created_at=at(0),
        started_at=None,
        completed_at=None,
        server_time="",
    )


def about(step: int) -> dict[str, Any]:
    """What every fact of the step at that index says."""
    return {"step_id": f"s{step + 1}", "agent_type": AGENTS[step]}


def queued(step: int) -> Fact:
    """Its place in the plan."""
    return StepQueued(**about(step), position=step + 1, total_steps=len(AGENTS))


def running(step: int, percent: int = 0, label: str = "busy", attempt: int = 1, **more: Any) -> Fact:
    """Its start or progress; or that it waits, or stalls."""
    return StepRunning(**about(step), progress_pct=percent, progress_label=label, attempt=attempt, **more)


def complete(step: int, tokens: int = 5, **more: bool) -> Fact:
    """Its success."""
    return StepComplete(**about(step), tokens_used=tokens, artifact_id=f"f{step}", duration_ms=1, **more)


def failed(step: int, code: Any = "STEP_FAILED", message: str = "no", **more: str) -> Fact:
    """Its failure or cancellation."""
    return StepError(**about(step), error_code=code, message=message, **more)


def log(facts: Iterable[Fact]) -> list[Event]:
    """The facts as a log, one a second."""
    return [
        Event("r", event_id, fact.wire_type, encode_payload(fact, at(event_id - 1)))
        for event_id, fact in enumerate(facts, start=1)
    ]


def folded(events: Iterable[Event], onto: RunSnapshot | None = None) -> RunSnapshot:
    """The state after all of them."""
    snapshot = onto or accepted()
    for event in events:
        snapshot = fold(snapshot, event)
    return snapshot


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """The log, so far, of a run as an orchestrator could have written it."""
    facts: list[Fact] = [queued(step) for step in range(len(AGENTS))]
    reused = draw(st.sets(st.sampled_from(range(len(AGENTS)))))
    facts += [complete(step, 0, reused=True) for step in sorted(reused)]
    going = dict.fromkeys(set(range(len(AGENTS))) - reused, 0)
    labels = st.text(max_size=5)
    notes = st.sampled_from([{}, {}, {"stalled": True}, {"retry_at": at(600), "reason": "no answer"}])
    for _ in range(draw(st.integers(0, 12))):
        if not going:
            break
        step = draw(st.sampled_from(sorted(going)))
        match draw(st.sampled_from(["running", "running", "running", "complete", "failed", "cancelled"])):
            case "running":
                going[step] = draw(st.integers(going[step], 100))
                facts.append(running(step, going[step], draw(labels), draw(st.integers(1, 4)), **draw(notes)))
            case "complete":
                facts.append(complete(step, draw(st.integers(0, 10**6)), cached=draw(st.booleans())))
                del going[step]
            case "failed":
                finer = draw(st.sampled_from([{}, {"reason": "BUDGET_EXCEEDED"}]))
                facts.append(failed(step, message=draw(labels), **finer))
                del going[step]
            case "cancelled":
                facts.append(failed(step, "STEP_CANCELLED", draw(labels)))
                del going[step]
    ends: list[Fact | None] = [None]
    if not going:
        ends += [
            RunEnded.success("r"),
            RunEnded.failure("r", "STEP_FAILED", "why"),
            RunEnded.cancellation("r", "u2"),
        ]
    end = draw(st.sampled_from(ends))
    return log([*facts, end] if end else facts)


def test_fold_of_a_whole_log_is_the_run_as_it_ended() -> None:
    """Every field of run and steps follows from the events: states, progress, tokens, times."""
    snapshot = folded(
        log(
            [
                queued(0),
                queued(1),
                queued(2),
                running(0, 0),
                running(0, 60, "half", attempt=2),
                complete(0, 30),
                running(1, 10),
                failed(1),
                failed(2, "STEP_CANCELLED", "not started: a2 failed"),
                RunEnded.failure("r", "STEP_FAILED", "a2 failed: no"),
            ]
        )
    )
    first, second, third = snapshot.steps
    assert first == StepSnapshot(
        id="s1",
        agent_type="a1",
        position=1,
        status="completed",
        progress_pct=100,
        progress_label="half",
        attempt=2,
        tokens_used=30,
        artifact_id="f0",
        started_at=at(3),
        completed_at=at(5),
    )
    assert (second.status, second.error_code, second.error_message, second.progress_pct) == (
        "failed",
        "STEP_FAILED",
        "no",
        10,
    )
    assert (third.status, third.started_at, third.completed_at) == ("cancelled", None, at(8))
    assert (snapshot.status, snapshot.error_code, snapshot.error_message) == (
        "failed",
        "STEP_FAILED",
        "a2 failed: no",
    )
    assert (snapshot.started_at, snapshot.completed_at, snapshot.ended) == (at(3), at(9), True)
    assert (snapshot.total_tokens, snapshot.last_event_id) == (30, 10)


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        (RunEnded.success("r"), "completed", None),
        (RunEnded.failure("r", "CANCELLED", "enough"), "cancelled", "CANCELLED"),
        (RunEnded.failure("r", "INTERRUPTED", "gone"), "failed", "INTERRUPTED"),
        (RunEnded.failure("r", "BUDGET_EXCEEDED", "spent"), "failed", "BUDGET_EXCEEDED"),
    ],
)
def test_fold_of_the_terminal_event_ends_the_run(end: Fact, status: str, code: str | None) -> None:
    """A run ends as completed, cancelled or failed, as its terminal event says."""
    snapshot = folded(log([end]))
    assert (snapshot.status, snapshot.error_code, snapshot.ended) == (status, code, True)


def test_fold_of_waiting_and_stalling_stands_until_the_next_event_of_the_step() -> None:
    """What a step waits for, or that it stalls, is shown until it moves on or ends, and for that step only."""
    waiting = [queued(0), queued(1), running(0, 10), running(0, 10, "waits", retry_at=at(60), reason="no answer")]
    state = folded(log(waiting))
    assert [(step.retry_at, step.reason) for step in state.steps[:2]] == [(at(60), "no answer"), (None, None)]
    stalled = folded(log([*waiting, running(0, 0, attempt=2), running(0, 0, "stalls", attempt=2, stalled=True)]))
    assert [(step.retry_at, step.reason, step.stalled) for step in stalled.steps[:1]] == [(None, None, True)]
    for following in (running(0, 5, attempt=2), complete(0), failed(0), failed(0, "STEP_CANCELLED")):
        for before in (state, stalled):
            (event,) = log([following])
            after = fold(before, Event("r", before.last_event_id + 1, event.type, event.payload)).steps[0]
            assert (after.retry_at, after.reason, after.stalled) == (None, None, False)


def test_fold_of_progress_begins_its_age_anew_and_stalling_does_not() -> None:
    """The age of progress is that of the last event that was progress; a step that is not under way has none."""
    (move, stall, end) = log([running(0, 1), running(0, 1, "stalls", stalled=True), complete(0)])
    old = replace(accepted(), steps=(replace(accepted().steps[0], status="running", progress_age_s=70.0),))
    assert fold(old, stall).steps[0].progress_age_s == 70.0
    assert fold(old, move).steps[0].progress_age_s == 0.0
    assert fold(old, end).steps[0].progress_age_s is None


def test_fold_of_an_end_forgets_the_worker() -> None:
    """Nobody works on a run that has ended."""
    for end in (RunEnded.success("r"), RunEnded.cancellation("r", "u2")):
        assert folded(log([end]), replace(accepted(), heartbeat_age_s=2.0)).heartbeat_age_s is None


def test_unfold_carries_what_else_is_known_of_steps_and_end() -> None:
    """Invariant 6: a reset tells who waits for what, who stalls, what was cached or reused, and who cancelled."""
    facts = [
        queued(0),
        queued(1),
        queued(2),
        complete(2, 0, reused=True),
        running(0, 30, "waits", retry_at=at(60), reason="no answer"),
        running(1, 10, "stalls", stalled=True),
    ]
    told = {payload["step_id"]: payload for _, payload in list(unfold(folded(log(facts))))[3:]}
    assert (told["s1"]["retry_at"], told["s1"]["reason"]) == (at(60), "no answer")
    assert told["s2"]["stalled"] is True
    assert (told["s3"]["reused"], told["s3"]["cached"]) == (True, False)
    assert "retry_at" not in told["s2"]
    assert not {"retry_at", "stalled"} & told["s3"].keys()
    facts += [complete(0, cached=True), failed(1, "STEP_CANCELLED"), RunEnded.cancellation("r", "u2")]
    *_, (_, ending) = events = list(unfold(folded(log(facts))))
    assert [payload["cached"] for kind, payload in events if kind == "complete" and "cached" in payload] == [
        True,
        False,
    ]
    assert (ending["error_code"], ending["cancelled_by"]) == ("CANCELLED", "u2")


def test_summary_has_the_mean_of_the_steps_rounded_down() -> None:
    """Completed steps count 100, those not begun 0; what the list shows of the run besides is as in its snapshot."""
    state = folded(log([queued(0), running(0, 10), complete(0, 7), running(1, 50, "half")]))
    summary = summarise(state)
    assert (summary.progress_pct, summary.steps_completed, summary.steps_total) == (50, 1, 3)
    assert summarise(folded(log([running(1, 1), running(2, 1)]))).progress_pct == 0
    assert summarise(replace(accepted(()), status="completed")).progress_pct == 0
    told = msgspec.structs.asdict(summary)
    assert told.items() - {"progress_pct": 50, "steps_completed": 1, "steps_total": 3}.items() <= {
        (name, value) for name, value in msgspec.structs.asdict(state).items() if name in told
    }
    assert isinstance(summary, RunSummary)


def test_summary_does_not_depend_on_when_the_run_was_read() -> None:
    """Equal summaries are no news: ages and the moment of the reading are not in them; every event is."""
    state = folded(log([queued(0)]))
    assert summarise(replace(state, server_time="later", heartbeat_age_s=3.0)) == summarise(state)
    assert summarise(replace(state, last_event_id=2)) != summarise(state)


def test_fold_of_unknown_fields_and_steps_ignores_them() -> None:
    """What a newer server adds, and an event about a step that the run does not have, only move the cursor."""
    start = accepted()
    stranger = Event("r", 1, "running", '{"step_id":"s9","progress_pct":5,"progress_label":"x","attempt":1,"at":"t"}')
    snapshot = fold(replace(start, status="running", started_at=at(0)), stranger)
    assert snapshot.steps == start.steps
    assert snapshot.last_event_id == 1
    known = Event(
        "r", 2, "running", '{"step_id":"s1","progress_pct":5,"progress_label":"x","attempt":1,"at":"t","mood":"good"}'
    )
    assert fold(snapshot, known).steps[0].progress_pct == 5


def test_fold_of_queued_changes_nothing_but_the_cursor() -> None:
    """The plan is in the snapshot from the beginning."""
    (event,) = log([queued(0)])
    assert fold(accepted(), event) == replace(accepted(), last_event_id=1)


@PROPERTY
@given(logs(), st.data())
def test_fold_of_events_already_contained_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    """State never runs backwards: repeating any part of the log onto a later snapshot leaves it as it is."""
    snapshot = folded(events)
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=5))
    assert folded(repeated, snapshot) is snapshot


@PROPERTY
@given(logs(), st.data())
def test_fold_in_two_parts_that_overlap_is_fold_of_the_whole(events: list[Event], data: st.DataObject) -> None:
    """A viewer that takes a snapshot and then events from any earlier cursor on sees the same run."""
    taken = data.draw(st.integers(0, len(events)))
    cursor = data.draw(st.integers(0, taken))
    assert folded(events[cursor:], folded(events[:taken])) == folded(events)


@PROPERTY
@given(logs())
def test_fold_of_unfold_is_the_state(events: list[Event]) -> None:
    """Invariant 6: the events of a reset lead a viewer that knows nothing to the run as it is."""
    state = folded(events)
    unfolded = [
        Event("r", event_id, kind, msgspec.json.encode(payload).decode())
        for event_id, (kind, payload) in enumerate(unfold(state), start=1)
    ]
    assert without_ages(replace(folded(unfolded), last_event_id=state.last_event_id)) == without_ages(state)


@PROPERTY
@given(logs().filter(lambda events: events[-1].terminal))
def test_terminal_event_of_an_ended_run_is_that_of_its_log(events: list[Event]) -> None:
    """Also once the log is gone, the end is told byte for byte as it was."""
    end = terminal_event(folded(events))
    assert (end.id, end.frame) == (events[-1].id, events[-1].frame)


@PROPERTY
@given(logs())
def test_unfold_is_short_and_complete(events: list[Event]) -> None:
    """A reset has the plan first, at most two more events per step, and the end last where the run ended."""
    state = folded(events)
    unfolded = list(unfold(state))
    steps = len(state.steps)
    assert [kind for kind, _ in unfolded[:steps]] == ["queued"] * steps
    assert [payload["position"] for _, payload in unfolded[:steps]] == [1, 2, 3]
    assert len(unfolded) <= 3 * steps + 1
    assert [bool(payload.get("all_done")) for _, payload in unfolded[steps:]].count(True) == state.ended
    assert bool(unfolded[-1][1].get("all_done")) == state.ended
    assert all(payload["at"] for _, payload in unfolded)
