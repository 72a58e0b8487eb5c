"""An event of a run, and its one encoding for each wire. Pure: nothing here waits or knows a connection.

Both wires carry the same object: ``{"type":…,"run_id":…,"payload":{…}}``. SSE puts the event id in its ``id:`` field
(https://html.spec.whatwg.org/multipage/server-sent-events.html), WebSocket puts it in the object as ``"id"``. The
payload is the JSON text of the run log, inserted as it is: a replayed event equals the live one byte for byte.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from realtime.wire import text_frame


class InvalidEventError(ValueError):
    """Something was to be sent that is no event."""


class EventType(StrEnum):
    """Every type that goes on the wire; any other is refused where an event is made."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETE = "complete"
    ERROR = "error"
    HEARTBEAT = "heartbeat"


class RunKey(NamedTuple):
    """What everything in memory or on a bus is keyed by: a run id alone may exist in two tenants."""

    tenant: str
    run_id: str


class ProjectKey(NamedTuple):
    """As `RunKey`, of a project."""

    tenant: str
    project_id: str


class _Ending(msgspec.Struct):
    all_done: bool = False


def event_type(name: str) -> EventType:
    """The event type called ``name``.

    Raises:
        InvalidEventError: there is none.

    """
    try:
        return EventType(name)
    except ValueError:
        known = ", ".join(EventType)
        raise InvalidEventError(f"unknown event type {name[:64]!r}; expected one of {known}") from None


def encode_body(kind: EventType, run_id: str, payload: str) -> str:
    """The object that both wires carry: three keys, compact, ``payload`` (JSON text of an object) unchanged.

    Raises:
        InvalidEventError: ``payload`` is not one line of text in braces.

    """
    if not payload.startswith("{") or "\n" in payload or "\r" in payload:
        raise InvalidEventError(f"payload must be one line of JSON, an object; got {payload[:64]!r}")
    return f'{{"type":"{kind}","run_id":"{run_id}","payload":{payload}}}'


def encode_sse(body: str, event_id: int | None = None) -> bytes:
    """One SSE event with ``body`` in one data line; without ``event_id`` it leaves the reader's cursor alone."""
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}data: {body}\n\n".encode()


class Event:
    """One event of one run's log: ``id`` counts 1, 2, 3 … per run, ``payload`` is JSON text. Immutable.

    Each wire's encoding is made when first asked for, then shared by all viewers.

    Raises:
        InvalidEventError: the type is unknown or not one that is stored.

    """

    __slots__ = ("_body", "_frame", "_sse", "id", "payload", "run_id", "type")

    def __init__(self, run_id: str, id: int, type: str, payload: str) -> None:
        self.run_id = run_id
        self.id = id
        self.type = event_type(type)
        self.payload = payload
        self._body: str | None = None
        self._sse: bytes | None = None
        self._frame: bytes | None = None
        if self.type is EventType.HEARTBEAT:
            raise InvalidEventError("a heartbeat is never part of a run's log")

    def __repr__(self) -> str:
        return f"Event({self.run_id!r}, {self.id}, {self.type.value!r}, {self.payload!r})"

    @property
    def terminal(self) -> bool:
        """True for the last event of a run."""
        if self.type is not EventType.COMPLETE:
            return False
        return msgspec.json.decode(self.payload, type=_Ending).all_done

    @property
    def body(self) -> str:
        """The object without its id."""
        if self._body is None:
            self._body = encode_body(self.type, self.run_id, self.payload)
        return self._body

    @property
    def sse(self) -> bytes:
        """The event on SSE: id line, data line, blank line."""
        if self._sse is None:
            self._sse = encode_sse(self.body, self.id)
        return self._sse

    @property
    def text(self) -> str:
        """The event on WebSocket: one text message."""
        return f'{{"id":{self.id},{self.body[1:]}'

    @property
    def frame(self) -> bytes:
        """The event on WebSocket: the text message in one frame."""
        if self._frame is None:
            self._frame = text_frame(self.text.encode())
        return self._frame

    @property
    def size(self) -> int:
        """About how many bytes the event occupies in memory with its encodings."""
        return 4 * len(self.payload) + 512


HEARTBEAT_TEXT = '{"type":"heartbeat","payload":{}}'
"""The heartbeat of a WebSocket connection; it belongs to no run and has no id."""


def heartbeat_sse(run_id: str) -> bytes:
    """The heartbeat of an SSE stream; it has no id, so it leaves the reader's cursor alone."""
    return encode_sse(encode_body(EventType.HEARTBEAT, run_id, "{}"))
