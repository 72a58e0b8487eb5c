"""The facts of a run and their payloads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import PROPERTY

from orchestrator.events import (
    WIRE_TYPES,
    Fact,
    RunEnded,
    StepComplete,
    StepError,
    StepQueued,
    StepRunning,
    encode_payload,
    storable,
)

AT = "2026-02-28T09:30:00.000Z"


@pytest.mark.parametrize(
    ("fact", "wire_type", "payload"),
    [
        (
            StepQueued(step_id="s", agent_type="a", position=1, total_steps=3),
            "queued",
            '{"step_id":"s","agent_type":"a","position":1,"total_steps":3,"at":"2026-02-28T09:30:00.000Z"}',
        ),
        (
            StepRunning(step_id="s", agent_type="a", progress_pct=0, progress_label="é", attempt=1),
            "running",
            '{"step_id":"s","agent_type":"a","progress_pct":0,"progress_label":"é","attempt":1,'
            '"at":"2026-02-28T09:30:00.000Z"}',
        ),
        (
            StepRunning(
                step_id="s",
                agent_type="a",
                progress_pct=5,
                progress_label="x",
                attempt=2,
                retry_at=AT,
                reason="no answer",
            ),
            "running",
            '{"step_id":"s","agent_type":"a","progress_pct":5,"progress_label":"x","attempt":2,'
            '"retry_at":"2026-02-28T09:30:00.000Z","reason":"no answer","at":"2026-02-28T09:30:00.000Z"}',
        ),
        (
            StepRunning(step_id="s", agent_type="a", progress_pct=5, progress_label="x", attempt=1, stalled=True),
            "running",
            '{"step_id":"s","agent_type":"a","progress_pct":5,"progress_label":"x","attempt":1,"stalled":true,'
            '"at":"2026-02-28T09:30:00.000Z"}',
        ),
        (
            StepComplete(step_id="s", agent_type="a", tokens_used=0, artifact_id="f", duration_ms=0),
            "complete",
            '{"step_id":"s","agent_type":"a","tokens_used":0,"artifact_id":"f","duration_ms":0,'
            '"cached":false,"reused":false,"at":"2026-02-28T09:30:00.000Z"}',
        ),
        (
            StepError(step_id="s", agent_type="a", error_code="STEP_FAILED", message="no"),
            "error",
            '{"step_id":"s","agent_type":"a","error_code":"STEP_FAILED","message":"no",'
            '"at":"2026-02-28T09:30:00.000Z"}',
        ),
        (
            StepError(step_id="s", agent_type="a", error_code="STEP_FAILED", message="", reason="BUDGET_EXCEEDED"),
            "error",
            '{"step_id":"s","agent_type":"a","error_code":"STEP_FAILED","message":"","reason":"BUDGET_EXCEEDED",'
            '"at":"2026-02-28T09:30:00.000Z"}',
        ),
        (
            RunEnded.success("r"),
            "complete",
            '{"run_id":"r","all_done":true,"at":"2026-02-28T09:30:00.000Z"}',
        ),
        (
            RunEnded.failure("r", "CANCELLED", "enough"),
            "complete",
            '{"run_id":"r","all_done":true,"error":true,"error_code":"CANCELLED","message":"enough",'
            '"at":"2026-02-28T09:30:00.000Z"}',
        ),
        (
            RunEnded.cancellation("r", "u1"),
            "complete",
            '{"run_id":"r","all_done":true,"error":true,"error_code":"CANCELLED","message":"The run was cancelled.",'
            '"cancelled_by":"u1","at":"2026-02-28T09:30:00.000Z"}',
        ),
    ],
)
def test_payload_is_compact_json_with_the_promised_fields(fact: Fact, wire_type: str, payload: str) -> None:
    """Every promised field is there though it be zero or false, what is not known is left out, the time is last."""
    assert fact.wire_type == wire_type
    assert encode_payload(fact, AT) == payload


def test_wire_types_are_those_that_facts_have() -> None:
    """Facts have four types; a heartbeat is none of them."""
    assert {"queued", "running", "complete", "error"} == WIRE_TYPES


@PROPERTY
@given(st.text(st.characters()), st.text(st.characters()), st.integers(0, 100))
def test_payload_of_any_text_is_one_line_that_reads_back(agent_type: str, label: str, percent: int) -> None:
    """Whatever a label holds, the payload is one line of UTF-8 and says what can be kept of it."""
    fact = StepRunning(step_id="s", agent_type=agent_type, progress_pct=percent, progress_label=label, attempt=1)
    payload = encode_payload(fact, AT)
    assert "\n" not in payload
    assert "\r" not in payload
    assert json.loads(payload) == {
        "step_id": "s",
        "agent_type": storable(agent_type),
        "progress_pct": percent,
        "progress_label": storable(label),
        "attempt": 1,
        "at": AT,
    }


@pytest.mark.parametrize(
    ("text", "kept"), [("a\0b", "a\ufffdb"), ("\ud83d!", "\ufffd!"), ("\U0001f600\n", "\U0001f600\n")]
)
def test_storable_replaces_what_some_database_cannot_keep(text: str, kept: str) -> None:
    """NUL and each half of a surrogate pair become U+FFFD; whole characters and what is no text stay."""
    assert storable(text) == kept
    assert storable(7) == 7
    assert storable(None) is None
