"""An event of a run and its encoding for each wire."""

from __future__ import annotations

import json

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import PROPERTY

from realtime.events import (
    HEARTBEAT_TEXT,
    Event,
    EventType,
    InvalidEventError,
    RunKey,
    encode_body,
    encode_sse,
    event_type,
    heartbeat_sse,
)

RUN_ID = "6f1c2a52-53e0-4a1e-9d3f-0c6b6a4f5e11"
STORED = [kind.value for kind in EventType if kind is not EventType.HEARTBEAT]

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PAYLOADS = st.dictionaries(st.text(max_size=12), JSON_VALUES, max_size=6).map(
    lambda payload: msgspec.json.encode(payload).decode()
)
"""The JSON text of any object, as the run log keeps it."""


def parse_sse(wire: bytes) -> list[httpx2.ServerSentEvent]:
    """What an SSE client reads."""
    response = httpx2.Response(
        200,
        headers={"Content-Type": "text/event-stream"},
        content=wire,
        request=httpx2.Request("GET", "http://localhost"),
    )
    return list(httpx2.EventSource(response))


def test_event_on_sse_is_an_id_line_a_data_line_and_a_blank_line() -> None:
    """The bytes are exactly those of the specification, compact, with the three keys in order."""
    event = Event(RUN_ID, 7, "running", '{"progress_pct":5}')
    expected = f'id: 7\ndata: {{"type":"running","run_id":"{RUN_ID}","payload":{{"progress_pct":5}}}}\n\n'
    assert event.sse == expected.encode()


def test_event_on_websocket_is_the_same_object_with_its_id() -> None:
    """The text message is the object of SSE plus the id."""
    event = Event(RUN_ID, 7, "running", '{"progress_pct":5}')
    assert event.text == f'{{"id":7,"type":"running","run_id":"{RUN_ID}","payload":{{"progress_pct":5}}}}'


@PROPERTY
@given(st.integers(1, 10**18), st.sampled_from(STORED), PAYLOADS)
def test_event_of_any_payload_reads_back_equal_on_both_wires(event_id: int, kind: str, payload: str) -> None:
    """Invariant 4: what a client parses is what was stored: three keys, one data line, the payload byte for byte."""
    event = Event(RUN_ID, event_id, kind, payload)
    expected = {"type": kind, "run_id": RUN_ID, "payload": json.loads(payload)}

    assert event.sse.count(b"\n") == 3
    assert b"\r" not in event.sse
    assert f'"payload":{payload}}}\n\n'.encode() in event.sse
    (parsed,) = parse_sse(event.sse)
    assert (parsed.event, parsed.id, parsed.retry) == ("message", str(event_id), None)
    assert list(json.loads(parsed.data)) == ["type", "run_id", "payload"]
    assert json.loads(parsed.data) == expected

    assert f'"payload":{payload}}}' in event.text
    assert json.loads(event.text) == {"id": event_id, **expected}


@PROPERTY
@given(st.lists(st.tuples(st.sampled_from(STORED), PAYLOADS), max_size=4))
def test_events_in_one_write_read_back_one_by_one(events: list[tuple[str, str]]) -> None:
    """Any number of events in one chunk are as many events, in order, each with its own id."""
    wire = b"".join(Event(RUN_ID, number, *event).sse for number, event in enumerate(events, start=1))
    parsed = parse_sse(wire)
    assert [event.id for event in parsed] == [str(number) for number in range(1, len(events) + 1)]
    assert [json.loads(event.data)["payload"] for event in parsed] == [json.loads(payload) for _, payload in events]


def test_encodings_are_made_once() -> None:
    """Invariant 4: every viewer gets the very same encoded event."""
    event = Event(RUN_ID, 1, "queued", "{}")
    assert event.sse is event.sse
    assert event.frame is event.frame
    assert event.body is event.body


@pytest.mark.parametrize("name", ["", "Running", "done", "heartbeat ", "x" * 10_000])
def test_event_of_an_unknown_type_is_refused_where_it_is_made(name: str) -> None:
    """Only the known types go on the wire; the message names them and is of bounded length."""
    with pytest.raises(
        InvalidEventError, match="expected one of queued, running, complete, error, heartbeat"
    ) as refused:
        Event(RUN_ID, 1, name, "{}")
    assert len(str(refused.value)) < 200


def test_heartbeat_is_never_part_of_a_log() -> None:
    """A heartbeat has no id and cannot be made as an event of a run."""
    with pytest.raises(InvalidEventError, match="heartbeat"):
        Event(RUN_ID, 1, "heartbeat", "{}")


@pytest.mark.parametrize(
    "payload", ["", "[]", "null", ' {"a":1}', '{"a":\n1}', '{"a":1}\r', '{}\n\ndata: {"forged":1}']
)
def test_payload_that_would_break_the_wire_is_refused(payload: str) -> None:
    """A payload is one line of JSON, an object; nothing else gets near a stream."""
    with pytest.raises(InvalidEventError, match="one line"):
        encode_body(EventType.RUNNING, RUN_ID, payload)


@pytest.mark.parametrize(
    ("kind", "payload", "terminal"),
    [
        ("complete", '{"run_id":"r","all_done":true}', True),
        ("complete", '{"run_id":"r","all_done":true,"error":true}', True),
        ("complete", '{"step_id":"s","artifact_id":"a"}', False),
        ("complete", '{"all_done":false}', False),
        ("error", '{"all_done":true}', False),
        ("running", '{"all_done":true}', False),
    ],
)
def test_event_is_terminal_only_as_complete_with_all_done(kind: str, payload: str, *, terminal: bool) -> None:
    """Nothing but the end of the run ends a stream."""
    assert Event(RUN_ID, 1, kind, payload).terminal is terminal


def test_event_without_id_leaves_the_readers_cursor_alone() -> None:
    """A reader that has seen id 7 still has it after a heartbeat and after a folded event."""
    wire = Event(RUN_ID, 7, "queued", "{}").sse + heartbeat_sse(RUN_ID) + encode_sse("{}")
    assert b"id:" not in heartbeat_sse(RUN_ID)
    assert [event.id for event in parse_sse(wire)] == ["7", "7", "7"]


def test_heartbeats_are_objects_with_an_empty_payload() -> None:
    """Silence on SSE names its run; a WebSocket connection's heartbeat belongs to none and has no id."""
    assert heartbeat_sse(RUN_ID) == f'data: {{"type":"heartbeat","run_id":"{RUN_ID}","payload":{{}}}}\n\n'.encode()
    assert json.loads(HEARTBEAT_TEXT) == {"type": "heartbeat", "payload": {}}


@pytest.mark.parametrize("kind", list(EventType))
def test_event_type_is_found_by_its_name(kind: EventType) -> None:
    """The names on the wire are those of the types."""
    assert event_type(kind.value) is kind


def test_size_is_not_less_than_the_encodings() -> None:
    """What a tail counts for an event covers its payload in every encoding."""
    event = Event(RUN_ID, 1, "running", '{"label":"' + "x" * 10_000 + '"}')
    assert event.size >= len(event.payload) + len(event.body) + len(event.sse) + len(event.text)


def test_event_shows_what_it_is() -> None:
    """A failing test or a log line can be read."""
    assert repr(Event("r", 1, "running", "{}")) == "Event('r', 1, 'running', '{}')"


def test_run_key_tells_tenants_apart() -> None:
    """Invariant 9: the same run id of two tenants is two keys."""
    assert len({RunKey("a", RUN_ID), RunKey("b", RUN_ID), RunKey("a", RUN_ID)}) == 2
