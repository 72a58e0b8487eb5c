"""The facts that a run produces: what changed, in the words and fields that go on the wire.

A fact is both the event that viewers see and the whole change to the run's rows; the store applies the one and
appends the other in one transaction, so rows and log cannot tell different stories.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

STEP_FAILED = "STEP_FAILED"
STEP_CANCELLED = "STEP_CANCELLED"
BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
CANCELLED = "CANCELLED"
INTERRUPTED = "INTERRUPTED"

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What no text may have that every database keeps: PostgreSQL has no NUL, and half of a surrogate pair no UTF-8."""

Value = TypeVar("Value")


class StepQueued(msgspec.Struct, frozen=True, kw_only=True):
    """A step stands in the plan of an accepted run. ``position`` counts from 1 to ``total_steps``."""

    wire_type: ClassVar[str] = "queued"
    step_id: str
    agent_type: str
    position: int
    total_steps: int


class StepRunning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step started, progressed, stalled, or waits for another attempt (then with ``retry_at`` and ``reason``).

    ``progress_pct`` is an integer from 0 to 100 that never falls within one ``attempt``; attempts count from 1.
    ``retry_at`` is RFC 3339, UTC. ``stalled``: no progress came for some time; the next event of the step ends that.
    """

    wire_type: ClassVar[str] = "running"
    step_id: str
    agent_type: str
    progress_pct: int
    progress_label: str
    attempt: int
    retry_at: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    stalled: Literal[True] | UnsetType = UNSET


class StepComplete(msgspec.Struct, frozen=True, kw_only=True):
    """A step succeeded and left the artifact ``artifact_id``. ``duration_ms`` is that of its last attempt.

    ``cached``: the answer had been given before, to an equal question. ``reused``: the step was completed by the run
    that this one is a retry of.
    """

    wire_type: ClassVar[str] = "complete"
    step_id: str
    agent_type: str
    tokens_used: int
    artifact_id: str
    duration_ms: int
    cached: bool = False
    reused: bool = False


class StepError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step failed for good, was cancelled, or was never started because another failed."""

    wire_type: ClassVar[str] = "error"
    step_id: str
    agent_type: str
    error_code: Literal["STEP_FAILED", "STEP_CANCELLED"]
    message: str
    reason: str | UnsetType = UNSET


class RunEnded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The terminal event: the run ended, and nothing follows it in its log."""

    wire_type: ClassVar[str] = "complete"
    run_id: str
    all_done: Literal[True]
    error: Literal[True] | UnsetType = UNSET
    error_code: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    cancelled_by: str | UnsetType = UNSET

    @classmethod
    def success(cls, run_id: str) -> RunEnded:
        """The end of a run whose every step completed."""
        return cls(run_id=run_id, all_done=True)

    @classmethod
    def failure(cls, run_id: str, error_code: str, message: str) -> RunEnded:
        """The end of a run that is not a success."""
        return cls(run_id=run_id, all_done=True, error=True, error_code=error_code, message=message)

    @classmethod
    def cancellation(cls, run_id: str, cancelled_by: str) -> RunEnded:
        """The end of a run that the user ``cancelled_by`` did not want any more."""
        ended = cls.failure(run_id, CANCELLED, "The run was cancelled.")
        return msgspec.structs.replace(ended, cancelled_by=cancelled_by)


Fact = StepQueued | StepRunning | StepComplete | StepError | RunEnded
"""Everything that can be written to a run's log."""

WIRE_TYPES: frozenset[str] = frozenset(
    fact.wire_type for fact in (StepQueued, StepRunning, StepComplete, StepError, RunEnded)
)


def storable(value: Value) -> Value:
    """``value`` as every store keeps it: in text, U+FFFD stands for each character that one of them could not keep.

    Rows and log both go through here, so that they tell the same; nothing is ever found by text with such characters.
    """
    if isinstance(value, str) and UNSTORABLE.search(value):
        return UNSTORABLE.sub("\ufffd", value)  # type: ignore[return-value]  # text for text
    return value


def encode_payload(fact: Fact, at: str) -> str:
    """The payload of ``fact`` as compact JSON text with ``at`` (RFC 3339, UTC, milliseconds) as its last key.

    Its texts are `storable`. This text is what is stored and what every viewer gets, byte for byte.
    """
    fields = msgspec.structs.asdict(fact)
    sent = {name: storable(value) for name, value in fields.items() if value is not UNSET}
    return msgspec.json.encode({**sent, "at": at}).decode()
