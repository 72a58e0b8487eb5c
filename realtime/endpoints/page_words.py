"""What the project page says before its scripts run, in the words that they use, too. Pure.

Templates put them in place; realtime/web/static/page/ goes on from there and finds nothing to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec
from msgspec.structs import replace

from realtime import facts
from realtime.durations import DurationRange
from realtime.endpoints.page_data import PageData
from realtime.ports import AgentInfo
from realtime.snapshot import RunSnapshot, RunSummary, StepSnapshot, epoch_ms, overall
from realtime.timeline import Attempt, StepTimeline

NOT_STARTED = "\N{EN DASH}"
RETRIABLE = {"failed", "cancelled"}

TRACK = 1000
"""The width of a track, from the run's start to its end or now."""
THINNEST = 4
"""The width of an attempt that took no time worth drawing."""


class AgentNames:
    """The names that agents have for people."""

    def __init__(self, agents: Sequence[AgentInfo]) -> None:
        self._names = {agent.agent_type: agent.name for agent in agents}

    def of(self, agent_type: str) -> str:
        """The agent's name; of one that is not in the catalogue, its type."""
        return self._names.get(agent_type, agent_type)

    def within(self, message: str) -> str:
        """What is said of an agent's end, ``qa_consultant failed: …``, with the name that the agent's card has."""
        for agent_type, name in self._names.items():
            message = message.replace(f"{agent_type} failed", f"{name} failed")
        return message


class CardWords(msgspec.Struct, frozen=True, kw_only=True):
    """What a card is made of: a step whose message names agents as people do, and the name of its own."""

    step: StepSnapshot
    name: str


class AttemptWords(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt on its track, from ``x`` on, ``width`` wide, and in words."""

    outcome: str
    x: int
    width: int
    text: str


class TrackWords(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the timeline."""

    step_id: str
    name: str
    attempts: tuple[AttemptWords, ...]


class RunWords(msgspec.Struct, frozen=True, kw_only=True):
    """The run's section of the page. Without arguments: of no run. An empty text is not shown."""

    id: str = ""
    status: str = ""
    status_text: str = ""
    last_event_id: str = ""
    connection: str = "closed"
    connection_text: str = ""
    may_cancel: bool = False
    may_retry: bool = False
    not_live: bool = False
    banner: str = ""
    percent: int = 0
    done: str = ""
    elapsed: str = ""
    expected: str = ""
    tokens: str = ""
    cost: str = ""
    cards: tuple[CardWords, ...] = ()
    timeline: tuple[TrackWords, ...] = ()


class RowWords(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of runs."""

    id: str
    agents: str
    created_at: str
    done: str
    status: str
    status_text: str


class PageWords(msgspec.Struct, frozen=True, kw_only=True):
    """The project page; ``icon``: the name of its file, without ending; ``followed``: scripts go on with the run."""

    title: str
    icon: str
    run: RunWords
    followed: bool
    rows: tuple[RowWords, ...]


def words_of(data: PageData) -> PageWords:
    """Everything of the page that is made of ``data``, at its server time."""
    names = AgentNames(data.agents)
    return PageWords(
        title=facts.title_text(data.run, data.project_name),
        icon=facts.icon_name(data.run),
        run=RunWords() if data.run is None else _run(data.run, data, names),
        followed=data.run is not None and data.may_stream and not data.run.ended,
        rows=tuple(row_words(run, names) for run in data.runs),
    )


def _run(run: RunSnapshot, data: PageData, names: AgentNames) -> RunWords:
    now_ms = epoch_ms(data.server_time)
    done, total, percent = overall(run)
    elapsed = facts.elapsed_ms(run, now_ms)
    live = data.may_stream and not run.ended
    return RunWords(
        id=run.id,
        status=run.status,
        status_text=facts.status_text(run.status),
        last_event_id=str(run.last_event_id),
        connection="connecting" if live else "closed",
        connection_text="Connecting…" if live else "",
        may_cancel=data.may_cancel and not run.ended,
        may_retry=data.may_start and run.status in RETRIABLE,
        not_live=not data.may_stream and not run.ended,
        banner=_banner(run, names),
        percent=percent,
        done=f"{done} of {total} · {percent} %",
        elapsed=NOT_STARTED if elapsed is None else facts.duration_text(elapsed),
        expected=expected_words(data.expected),
        tokens=facts.tokens_text(run.total_tokens),
        cost=facts.cost_text(run.total_tokens, data.price_per_mtok, data.currency),
        cards=tuple(_card(step, names) for step in run.steps),
        timeline=tuple(_track(step, run, now_ms, names) for step in data.timeline),
    )


def _banner(run: RunSnapshot, names: AgentNames) -> str:
    if run.status not in RETRIABLE:
        return ""
    told = names.within(run.error_message or "")
    return told or f"The run {'failed' if run.status == 'failed' else 'was cancelled'}."


def _card(step: StepSnapshot, names: AgentNames) -> CardWords:
    told = replace(step, error_message=step.error_message and names.within(step.error_message))
    return CardWords(step=told, name=names.of(step.agent_type))


def _track(step: StepTimeline, run: RunSnapshot, now_ms: int, names: AgentNames) -> TrackWords:
    start_ms = now_ms if run.started_at is None else epoch_ms(run.started_at)
    end_ms = now_ms if run.completed_at is None else epoch_ms(run.completed_at)
    return TrackWords(
        step_id=step.step_id,
        name=names.of(step.agent_type),
        attempts=tuple(_attempt(attempt, start_ms, end_ms, names) for attempt in step.attempts),
    )


def _attempt(attempt: Attempt, start_ms: int, end_ms: int, names: AgentNames) -> AttemptWords:
    """``Attempt 1 · 0:12 · failed: no answer``; one that is under way lasts until ``end_ms``."""
    began_ms = epoch_ms(attempt.started_at)
    ended_ms = end_ms if attempt.ended_at is None else epoch_ms(attempt.ended_at)
    span_ms = max(1, end_ms - start_ms)
    x = min(TRACK - THINNEST, max(0, began_ms - start_ms) * TRACK // span_ms)
    width = min(TRACK - x, max(THINNEST, (ended_ms - began_ms) * TRACK // span_ms))
    reason = f": {names.within(attempt.reason)}" if attempt.reason else ""
    text = f"Attempt {attempt.attempt} · {facts.duration_text(ended_ms - began_ms)} · {attempt.outcome}{reason}"
    return AttemptWords(outcome=attempt.outcome, x=x, width=width, text=text)


def row_words(run: RunSummary, names: AgentNames) -> RowWords:
    """The run's line in a list."""
    return RowWords(
        id=run.id,
        agents=", ".join(names.of(agent) for agent in run.agents_selected),
        created_at=run.created_at,
        done=f"{run.steps_completed} of {run.steps_total}",
        status=run.status,
        status_text=facts.status_text(run.status),
    )


def expected_words(usual: DurationRange | None) -> str:
    """``usually 2-4 min``; empty where too little is known."""
    if usual is None or usual.low_s is None or usual.high_s is None:
        return ""
    return facts.expected_text(usual.low_s, usual.high_s)


def size_text(size: int) -> str:
    """A number of bytes for people: ``640 B``, ``1.5 KB``, ``12 KB``, ``5.0 MB``."""
    amount, unit = float(size), "B"
    for larger in ("KB", "MB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    exact = unit == "B" or amount >= 10
    return f"{Decimal(amount).quantize(Decimal(1 if exact else '0.1'), ROUND_HALF_UP)} {unit}"
