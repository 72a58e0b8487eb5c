"""The one writer of a run's log: saved and fenced first, published after commit, never two saves at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

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
)
from orchestrator.ports import Artifact, Publisher, RunRecord, RunStore, SavedEvent
from orchestrator.states import RUN_TRANSITIONS, STEP_TRANSITIONS, RunState, StepState, Trigger, advance

_log = structlog.get_logger(__name__)


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
        self._turn = asyncio.Lock()
        self._units: set[asyncio.Task[None]] = set()

    async def save(self, *facts: Fact, artifacts: Sequence[Artifact] = ()) -> None:
        """Save ``facts`` as the next events, with all they change, then publish them.

        Raises:
            ClaimLostError: the run is another worker's now, or has ended; nothing was saved.
            StoreError: nothing was saved.
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

    async def settle(self) -> None:
        """Return when every save that was begun has ended, also those whose caller was cancelled."""
        while self._units:
            await asyncio.wait(self._units)

    def _forget(self, unit: asyncio.Task[None]) -> None:
        self._units.discard(unit)
        if not unit.cancelled():
            unit.exception()

    async def _save_and_publish(self, facts: Sequence[Fact], artifacts: Sequence[Artifact]) -> None:
        async with self._turn:
            run_state, step_states = self._after(facts)
            events: Sequence[SavedEvent]
            try:
                events = await self._store.save(self._tenant, self._run_id, self._token, facts, artifacts)
            except StoreError as error:
                events = await self._read_outcome(facts, error)
            self._run_state, self._step_states = run_state, step_states
            self._head = events[-1].id
            self._publish(events)

    def _after(self, facts: Sequence[Fact]) -> tuple[RunState, dict[str, StepState]]:
        """The states that ``facts`` lead to."""
        run_state, step_states = self._run_state, dict(self._step_states)
        for fact in facts:
            trigger = _trigger(fact)
            if isinstance(fact, RunEnded):
                run_state = advance(RUN_TRANSITIONS, run_state, trigger)
                continue
            if trigger is Trigger.START and run_state is RunState.QUEUED:
                run_state = advance(RUN_TRANSITIONS, run_state, trigger)
            step_states[fact.step_id] = advance(STEP_TRANSITIONS, step_states[fact.step_id], trigger)
        return run_state, step_states

    async def _read_outcome(self, facts: Sequence[Fact], error: StoreError) -> Sequence[SavedEvent]:
        """The events of ``facts`` where the commit took effect after all; else ``error`` again."""
        events = await self._store.read_events(self._tenant, self._run_id, self._head, len(facts))
        if [(event.type, _content(event)) for event in events] != [(fact.wire_type, _sent(fact)) for fact in facts]:
            raise error
        _log.warning("a commit was reported as failed and had taken effect", run_id=self._run_id)
        return events

    def _publish(self, events: Sequence[SavedEvent]) -> None:
        try:
            self._publisher.publish(self._tenant, self._run_id, events)
        except Exception:
            _log.exception("events are saved and could not be published", run_id=self._run_id)


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
    return {name: value for name, value in msgspec.structs.asdict(fact).items() if value is not UNSET}
