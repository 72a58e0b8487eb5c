"""Showing a watched run to somebody at a terminal: bars that move, or one plain line per event."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from realtime.client.items import ConnectionState, Reset, RunEvent
from realtime.snapshot import StepSnapshot

RUN = "-"
"""What stands for the run as a whole where an agent would be named."""


class Row(msgspec.Struct, frozen=True):
    """One agent, or the run as a whole, as it should be shown; ``label`` is printable and one line.

    ``status`` is that of the step, or ``waiting`` for another attempt, or ``stalled``; ``attempt`` 0: not started.
    """

    agent: str
    status: str
    percent: int
    label: str
    attempt: int = 0


class Board:
    """The state of one run in rows, made from its events. Pure."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def apply(self, item: RunEvent | Reset) -> Row:
        """Take in one item of a watch; the row that it is about."""
        if isinstance(item, Reset):
            self.rows = {step.id: _row_of_step(step) for step in item.snapshot.steps}
            goes_on = "only how it ended is shown" if item.final else f"continues from event {item.id}"
            return self._whole(item.snapshot.status, f"{goes_on}: {item.reason}")
        step_id = item.payload.get("step_id")
        if not isinstance(step_id, str):
            return self._whole(*_ending(item.payload))
        row = _row_of_event(item, self.rows.get(step_id))
        self.rows[step_id] = row
        return row

    def _whole(self, status: str, label: str) -> Row:
        percents = [row.percent for row in self.rows.values()]
        return Row(RUN, status, sum(percents) // max(1, len(percents)), printable(label))


def printable(text: object) -> str:
    """``text`` in one line, without anything that would steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in str(text))


def _row_of_event(event: RunEvent, before: Row | None) -> Row:
    payload, percent = event.payload, 0 if before is None else before.percent
    agent = printable(payload.get("agent_type", RUN))
    match event.type:
        case "queued":
            label = f"waiting, step {payload.get('position')} of {payload.get('total_steps')}"
            return Row(agent, "queued", 0, printable(label))
        case "running":
            return _row_at_work(agent, payload, before)
        case "complete":
            return Row(agent, "completed", 100, printable(_completed(payload)))
        case "error":
            status = "cancelled" if payload.get("error_code") == "STEP_CANCELLED" else "failed"
            return Row(agent, status, percent, printable(_failure(payload)))
        case _:
            return Row(agent, event.type, percent, "")


def _row_of_step(step: StepSnapshot) -> Row:
    agent, told = printable(step.agent_type), msgspec.to_builtins(step)
    if step.status == "running":
        return _row_at_work(agent, told, None)
    label = _completed(told) if step.status == "completed" else step.error_message or step.progress_label or ""
    return Row(agent, step.status, step.progress_pct, printable(label))


def _row_at_work(agent: str, payload: dict[str, Any], before: Row | None) -> Row:
    """The row of a step under way, by its newest event or its snapshot: both call what they tell the same."""
    attempt, percent = int(payload.get("attempt", 1)), int(payload.get("progress_pct", 0))
    label = str(payload.get("progress_label") or "")
    if payload.get("retry_at"):
        label = f"{label} (again at {payload['retry_at']}: {payload.get('reason', '')})"
        return Row(agent, "waiting", percent, printable(label), attempt)
    if attempt > 1:
        taken_over = before is not None and before.status in _AT_WORK and before.attempt < attempt
        label = f"attempt {attempt}{', after an interruption' if taken_over else ''}: {label}"
    return Row(agent, "stalled" if payload.get("stalled") else "running", percent, printable(label), attempt)


_AT_WORK = frozenset({"running", "stalled"})
"""An attempt that is followed by another without a wait: its server went, and another took the run over."""

_NOTES = {"cached": "answered from the cache", "reused": "kept from the run before"}


def _completed(payload: dict[str, Any]) -> str:
    notes = [note for name, note in _NOTES.items() if payload.get(name)]
    return ", ".join([f"{payload.get('tokens_used', 0)} tokens", *notes])


def _failure(payload: dict[str, Any]) -> str:
    return f"{payload.get('error_code')}: {payload.get('message')}"


def _ending(payload: dict[str, Any]) -> tuple[str, str]:
    """Status and label of a run that has ended."""
    if not payload.get("error"):
        return "completed", "all done"
    by = f" By user {payload['cancelled_by']}." if payload.get("cancelled_by") else ""
    return "cancelled" if payload.get("error_code") == "CANCELLED" else "failed", f"{_failure(payload)}{by}"


def plain_line(item: RunEvent | Reset, row: Row) -> str:
    """The item in one line of five fields; only the last may contain spaces."""
    return f"{item.id} {item.type} {row.agent} {row.percent}% {row.label}".rstrip()


class ConnectionNotes:
    """Tells of a connection only what somebody who waits wants to know: that it went, and that it is back. Pure."""

    def __init__(self) -> None:
        self._lost = False

    def note(self, state: ConnectionState) -> str | None:
        """A line about the new state; None: it is nothing new."""
        if state.state == "waiting" and not self._lost:
            self._lost = True
            return printable(f"Connection lost ({state.reason}); trying again.")
        if state.state == "live" and self._lost:
            self._lost = False
            return f"Connected again, over {state.transport.value}."
        return None


class Display(Protocol):
    """Where a run is shown, from entering to leaving it as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show(self, item: RunEvent | Reset) -> None:
        """Show what an event or reset changed."""
        ...

    def say(self, text: str) -> None:
        """Show one line that is not about the run's state."""
        ...


class Lines:
    """One plain line per event on ``out``; everything else goes to ``aside``."""

    def __init__(self, out: TextIO, aside: TextIO) -> None:
        self._board = Board()
        self._out = out
        self._aside = aside

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def show(self, item: RunEvent | Reset) -> None:
        """Print the event's line at once."""
        print(plain_line(item, self._board.apply(item)), file=self._out, flush=True)

    def say(self, text: str) -> None:
        """Print to the side."""
        print(text, file=self._aside, flush=True)


_MARKS = {
    "queued": "[dim]·[/]",
    "running": "[cyan]▶[/]",
    "waiting": "[yellow]…[/]",
    "stalled": "[yellow]?[/]",
    "completed": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "cancelled": "[yellow]-[/]",
}


class Bars:
    """A bar per agent, drawn anew on each event; no thread of its own."""

    def __init__(self, console: Console) -> None:
        self._board = Board()
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.fields[mark]}"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn(
                "{task.fields[label]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            console=console,
            auto_refresh=False,
            expand=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, item: RunEvent | Reset) -> None:
        """Draw the rows; a reset is also said above them."""
        about = self._board.apply(item)
        for step_id in self._tasks.keys() - self._board.rows.keys():
            self._progress.remove_task(self._tasks.pop(step_id))
        for step_id, row in self._board.rows.items():
            if step_id not in self._tasks:
                self._tasks[step_id] = self._progress.add_task(row.agent, total=100, mark="", label="")
            mark = _MARKS.get(row.status, " ")
            self._progress.update(self._tasks[step_id], completed=row.percent, mark=mark, label=row.label)
        self._progress.refresh()
        if isinstance(item, Reset):
            self.say(about.label)

    def say(self, text: str) -> None:
        """Print above the bars; once they stand still, below them."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def make_display() -> Display:
    """Bars where standard output is a terminal, else lines."""
    console = Console()
    return Bars(console) if console.is_terminal else Lines(sys.stdout, sys.stderr)
