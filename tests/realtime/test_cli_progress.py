"""What a run looks like in a terminal and in a log."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from client_stage import RUN, snapshot
from rich.console import Console

from realtime.cli.progress import Bars, Board, ConnectionNotes, Lines, plain_line
from realtime.client import ConnectionState, Reset, RunEvent, Transport
from realtime.snapshot import RunSnapshot, StepSnapshot


def event(number: int, type: str, **payload: Any) -> RunEvent:
    """An event of the only step."""
    return RunEvent(RUN, number, type, {"step_id": "s1", "agent_type": "qa_consultant", **payload})


def ended(number: int, **payload: Any) -> RunEvent:
    """The terminal event."""
    return RunEvent(RUN, number, "complete", {"run_id": RUN, "all_done": True, **payload})


def reset(number: int) -> Reset:
    """A reset to a run with one step at 30 %."""
    step = StepSnapshot(
        id="s2", agent_type="ba_consultant", position=1, status="running", progress_pct=30, progress_label="Reading"
    )
    return Reset(RUN, number, "log_expired", with_step(step, number))


def with_step(step: StepSnapshot, number: int = 1) -> RunSnapshot:
    """The run as of event ``number`` with one step."""
    return msgspec.structs.replace(msgspec.convert(snapshot(number), RunSnapshot), steps=(step,))


QUEUED = event(1, "queued", position=1, total_steps=3)
RUNNING = event(2, "running", progress_pct=40, progress_label="Reading a.md", attempt=1)


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (QUEUED, "1 queued qa_consultant 0% waiting, step 1 of 3"),
        (RUNNING, "2 running qa_consultant 40% Reading a.md"),
        (
            event(3, "running", progress_pct=40, progress_label="Waiting", retry_at="12:00", reason="no answer"),
            "3 running qa_consultant 40% Waiting (again at 12:00: no answer)",
        ),
        (
            event(3, "running", progress_pct=0, progress_label="Starts", attempt=2),
            "3 running qa_consultant 0% attempt 2, after an interruption: Starts",
        ),
        (event(4, "complete", tokens_used=12), "4 complete qa_consultant 100% 12 tokens"),
        (
            event(4, "complete", tokens_used=0, cached=True, reused=True),
            "4 complete qa_consultant 100% 0 tokens, answered from the cache, kept from the run before",
        ),
        (
            event(4, "error", error_code="STEP_FAILED", message="broke"),
            "4 error qa_consultant 40% STEP_FAILED: broke",
        ),
        (
            event(4, "error", error_code="STEP_CANCELLED", message="x"),
            "4 error qa_consultant 40% STEP_CANCELLED: x",
        ),
        (ended(5), "5 complete - 40% all done"),
        (ended(5, error=True, error_code="CANCELLED", message="by you"), "5 complete - 40% CANCELLED: by you"),
        (
            ended(5, error=True, error_code="CANCELLED", message="The run was cancelled.", cancelled_by="u1"),
            "5 complete - 40% CANCELLED: The run was cancelled. By user u1.",
        ),
        (event(6, "novel"), "6 novel qa_consultant 40%"),
        (reset(7), "7 reset - 30% continues from event 7: log_expired"),
    ],
)
def test_event_in_plain_has_five_fields(item: RunEvent | Reset, line: str) -> None:
    """Id, type, agent, percent and label stand in one line; only the label may have spaces."""
    board = Board()
    board.apply(RUNNING)
    assert plain_line(item, board.apply(item)) == line


def test_attempt_after_a_wait_is_no_interruption() -> None:
    """Only an attempt that follows another without a wait is told as one that was interrupted."""
    board = Board()
    board.apply(event(1, "running", progress_pct=7, progress_label="Waits", attempt=1, retry_at="12:00", reason="x"))
    begun = board.apply(event(2, "running", progress_pct=0, progress_label="Starts", attempt=2))
    assert (begun.status, begun.label) == ("running", "attempt 2: Starts")
    going_on = board.apply(event(3, "running", progress_pct=9, progress_label="Reads", attempt=2))
    assert going_on.label == "attempt 2: Reads"


@pytest.mark.parametrize(
    ("told", "status", "label"),
    [
        ({"retry_at": "12:00", "reason": "no answer"}, "waiting", "Reading (again at 12:00: no answer)"),
        ({"stalled": True}, "stalled", "Reading"),
        ({"attempt": 2}, "running", "attempt 2: Reading"),
    ],
)
def test_step_under_way_looks_the_same_from_its_event_and_its_snapshot(
    told: dict[str, Any], status: str, label: str
) -> None:
    """Waiting, stalled or tried again: who comes by a reset sees what those see who were there."""
    progress = {"progress_pct": 30, "progress_label": "Reading", "attempt": 1, **told}
    by_event = Board().apply(event(1, "running", **progress))
    step = StepSnapshot(id="s1", agent_type="qa_consultant", position=1, status="running", **progress)
    board = Board()
    board.apply(msgspec.structs.replace(reset(1), snapshot=with_step(step)))
    assert board.rows["s1"] == by_event
    assert (by_event.status, by_event.label) == (status, label)


def test_completed_step_in_a_reset_tells_how_it_came_about() -> None:
    """A snapshot says of a step that it was reused, as its event did."""
    step = StepSnapshot(id="s1", agent_type="a", position=1, status="completed", progress_pct=100, reused=True)
    board = Board()
    board.apply(msgspec.structs.replace(reset(1), snapshot=with_step(step)))
    assert board.rows["s1"].label == "0 tokens, kept from the run before"


def test_label_that_steers_a_terminal_is_made_harmless() -> None:
    """Escape sequences and line breaks from a document's name never reach the terminal."""
    row = Board().apply(event(1, "running", progress_pct=1, progress_label="a\x1b[2Jb\r\nc", attempt=1))
    assert row.label == "a [2Jb  c"


def test_lines_keep_events_apart_from_everything_else() -> None:
    """Events go to one stream, each at once; what is said beside them goes to the other."""
    out, aside = io.StringIO(), io.StringIO()
    with Lines(out, aside) as lines:
        lines.show(QUEUED)
        lines.say("hello")
        lines.show(ended(2))
    assert out.getvalue() == "1 queued qa_consultant 0% waiting, step 1 of 3\n2 complete - 0% all done\n"
    assert aside.getvalue() == "hello\n"


def test_bars_show_a_row_per_agent_and_follow_a_reset() -> None:
    """Each agent has a row with its percent and label; after a reset the rows are those of the snapshot."""
    screen = io.StringIO()
    with Bars(Console(file=screen, force_terminal=True, width=100, color_system=None)) as bars:
        bars.show(QUEUED)
        bars.show(RUNNING)
        before = screen.getvalue()
        bars.show(reset(7))
        bars.say("by the way")
    assert "qa_consultant" in before
    assert "40% Reading a.md" in before
    after = screen.getvalue().removeprefix(before)
    assert "continues from event 7" in after
    assert "ba_consultant" in after
    assert "by the way" in after
    assert "qa_consultant" not in after.rpartition("by the way")[2]


def test_connection_notes_tell_of_loss_and_return_once() -> None:
    """The first connection and repeated failures say nothing; a loss and the return after it do."""
    notes = ConnectionNotes()
    socket, sse = Transport.WEBSOCKET, Transport.SSE
    states = [
        ConnectionState("connecting", socket),
        ConnectionState("live", socket),
        ConnectionState("waiting", socket, "closed with code 1012", 1.0),
        ConnectionState("connecting", socket),
        ConnectionState("waiting", socket, "no connection", 1.0),
        ConnectionState("live", sse),
        ConnectionState("live", sse),
    ]
    said = [notes.note(state) for state in states]
    assert [text for text in said if text] == [
        "Connection lost (closed with code 1012); trying again.",
        "Connected again, over sse.",
    ]
