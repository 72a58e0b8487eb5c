"""The one writer of a run's log: saved and fenced first, published after commit, never two saves at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from msgspec import UNSET

from orchestrator.errors import StoreError
from orchestrator.events import (
    CANCELLED,
    STEP_CANCELLED,
    Fact,
    RunEnded,
    StepComplete,
    StepError,
    StepQueued,
    StepRunning,
    storable,
)
from orchestrator.ports import Publisher, RunStore
from orchestrator.records import Artifact, RunRecord, SavedEvent
from orchestrator.states import RUN_TRANSITIONS, STEP_TRANSITIONS, RunState, StepState, Trigger, advance

_log = structlog.get_logger(__name__)


class _Change(NamedTuple):
    """Facts, and the states that they lead to."""

    facts: Sequence[Fact]
    run_state: RunState
    step_states: dict[str, StepState]


class Recorder:
    """Writes the log of ``run``, which ``token`` claims.

    Steps that run side by side share it, so ids are published in the order they were committed. Saving and publishing
    are one unit that goes on when its caller is cancelled.
    """

    def __init__(self, store: RunStore, publisher: Publisher, tenant: str, run: RunRecord, token: str) -> None:
        self._store = store
        self._publisher = publisher
        self._tenant = tenant
        self._run_id = run.id
        self._token = token
        self._head = run.last_event_id
        self._run_state = run.status
        self._step_states = {step.id: step.status for step in run.steps}
        self._in_doubt: _Change | None = None
        self._turn = asyncio.Lock()
        self._units: set[asyncio.Task[None]] = set()

    async def save(self, *facts: Fact, artifacts: Sequence[Artifact] = ()) -> None:
        """Save ``facts`` as the next events, with all they change, then publish them.

        Raises:
            ClaimLostError: the run is another worker's now, or has ended; nothing was saved.
            StoreError: nothing was saved, or that cannot be known yet; then the log is read before the next save.
            IllegalTransitionError: a fact cannot happen to its step or run as it is; nothing was saved.

        """
        unit = asyncio.get_running_loop().create_task(self._save_and_publish(facts, artifacts))
        self._units.add(unit)
        unit.add_done_callback(self._forget)
        await asyncio.shield(unit)

    @property
    def unfinished(self) -> frozenset[str]:
        """The ids of the steps to which something can still happen."""
        return frozenset(step_id for step_id, state in self._step_states.items() if STEP_TRANSITIONS[state])

    @property
    def ended(self) -> bool:
        """True where the terminal event is saved."""
        return not RUN_TRANSITIONS[self._run_state]

    async def settle(self) -> None:
        """Return when every save that was begun has ended, also those whose caller was cancelled."""
        while self._units:
            await asyncio.wait(self._units)

    async def catch_up(self) -> None:
        """Return when it is known what is saved, so that ``unfinished`` and ``ended`` say what the log says.

        Raises:
            StoreError: the log cannot be read.

        """
        await self.settle()
        async with self._turn:
            await self._resolve_doubt()

    def _forget(self, unit: asyncio.Task[None]) -> None:
        self._units.discard(unit)
        if not unit.cancelled():
            unit.exception()

    async def _save_and_publish(self, facts: Sequence[Fact], artifacts: Sequence[Artifact]) -> None:
        async with self._turn:
            await self._resolve_doubt()
            change = self._after(facts)
            try:
                events = await self._store.save(self._tenant, self._run_id, self._token, facts, artifacts)
            except StoreError:
                self._in_doubt = change
                if not await self._resolve_doubt():
                    raise
            else:
                self._conclude(change, events)

    def _after(self, facts: Sequence[Fact]) -> _Change:
        run_state, step_states = self._run_state, dict(self._step_states)
        for fact in facts:
            trigger = _trigger(fact)
            if isinstance(fact, RunEnded):
                run_state = advance(RUN_TRANSITIONS, run_state, trigger)
                continue
            if trigger is Trigger.START and run_state is RunState.QUEUED:
                run_state = advance(RUN_TRANSITIONS, run_state, trigger)
            step_states[fact.step_id] = advance(STEP_TRANSITIONS, step_states[fact.step_id], trigger)
        return _Change(facts, run_state, step_states)

    async def _resolve_doubt(self) -> bool:
        """Look up the last save if its outcome is unknown. True: it took effect after all, and is published now."""
        change = self._in_doubt
        if change is None:
            return False
        events = await self._store.settled_events(self._tenant, self._run_id, self._head, len(change.facts))
        self._in_doubt = None
        told = [(event.type, _content(event)) for event in events]
        if told != [(fact.wire_type, _sent(fact)) for fact in change.facts]:
            return False
        _log.warning("a commit was reported as failed and had taken effect", run_id=self._run_id)
        self._conclude(change, events)
        return True

    def _conclude(self, change: _Change, events: Sequence[SavedEvent]) -> None:
        _, self._run_state, self._step_states = change
        self._head = events[-1].id
        publish(self._publisher, self._tenant, self._run_id, events)


def publish(publisher: Publisher, tenant: str, run_id: str, events: Sequence[SavedEvent]) -> None:
    """Tell viewers what is saved. Never raises: whoever misses it finds it in the log."""
    try:
        publisher.publish(tenant, run_id, events)
    except Exception:
        _log.exception("events are saved and could not be published", run_id=run_id)


def _trigger(fact: Fact) -> Trigger:
    match fact:
        case StepRunning():
            return Trigger.START
        case StepComplete():
            return Trigger.COMPLETE
        case StepError():
            return Trigger.CANCEL if fact.error_code == STEP_CANCELLED else Trigger.FAIL
        case RunEnded():
            if fact.error is UNSET:
                return Trigger.COMPLETE
            return Trigger.CANCEL if fact.error_code == CANCELLED else Trigger.FAIL
        case StepQueued():
            raise ValueError("a step is queued by accepting its run, and only then")


def _content(event: SavedEvent) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.json.decode(event.payload)
    payload.pop("at", None)
    return payload


def _sent(fact: Fact) -> dict[str, Any]:
    return {name: storable(value) for name, value in msgspec.structs.asdict(fact).items() if value is not UNSET}
