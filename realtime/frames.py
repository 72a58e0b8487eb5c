"""The frames of ``runcast.v1`` in both directions, its error codes and its close codes. Pure.

A control frame is a JSON object with ``op``; an event is the object of ``realtime.events`` and has none.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from realtime.cursor import ResetReason
from realtime.snapshot import RunSnapshot, RunSummary

SUBPROTOCOL = "runcast.v1"


class CloseCode(IntEnum):
    """Why the server ends a connection; the number tells a client what to do next."""

    NORMAL = 1000
    INTERNAL = 1011
    RESTARTING = 1012
    BAD_PROTOCOL = 4400
    NOT_AUTHENTICATED = 4401
    FORBIDDEN = 4403
    TOO_SLOW = 4408
    TOO_MANY = 4429

    @property
    def reconnect(self) -> bool:
        """True where the same client may come back with its cursors; False: something must change first."""
        return self in {CloseCode.INTERNAL, CloseCode.RESTARTING, CloseCode.TOO_SLOW, CloseCode.TOO_MANY}


class ErrorCode(StrEnum):
    """What an ``error`` frame says, stable for programs."""

    NOT_AUTHENTICATED = "NOT_AUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    RUN_NOT_FOUND = "RUN_NOT_FOUND"
    PROJECT_NOT_FOUND = "PROJECT_NOT_FOUND"
    BAD_FRAME = "BAD_FRAME"
    UNKNOWN_OP = "UNKNOWN_OP"
    ACK_AHEAD = "ACK_AHEAD"
    NOT_SUBSCRIBED = "NOT_SUBSCRIBED"
    TOO_MANY = "TOO_MANY"
    TOO_LARGE = "TOO_LARGE"
    INTERNAL = "INTERNAL"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may do; told to the client in ``welcome``. Beyond: a typed error, then close."""

    frame_bytes: int = 64 * 1024
    subscriptions: int = 64
    frames_per_s: int = 50
    identify_s: float = 10.0
    client_id_chars: int = 64


Whole = Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]
"""A number that every JSON implementation reads and writes unchanged: https://www.rfc-editor.org/rfc/rfc8259#section-6"""
Ref = str | Whole | None


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="op"):
    ref: Ref = None


class RunCommand(_Command, frozen=True, kw_only=True):
    """A command about one run."""

    run_id: UUID


class Subscribe(RunCommand, frozen=True, kw_only=True, tag="subscribe", rename={"start": "from"}):
    """Watch a run from a cursor. ``last_event_id`` may be anything: what is no id is answered with a reset."""

    last_event_id: Any = UNSET
    client_id: str | None = None
    start: str = "start"


class Unsubscribe(RunCommand, frozen=True, kw_only=True, tag="unsubscribe"):
    """Stop watching a run."""


class Ack(RunCommand, frozen=True, kw_only=True, tag="ack"):
    """Everything up to ``event_id`` of a run has been handled."""

    event_id: Whole


class ProjectCommand(_Command, frozen=True, kw_only=True):
    """A command about one project."""

    project_id: UUID


class WatchProject(ProjectCommand, frozen=True, kw_only=True, tag="watch_project"):
    """Be told the newest runs of a project, then each that is new or changes."""


class UnwatchProject(ProjectCommand, frozen=True, kw_only=True, tag="unwatch_project"):
    """Stop watching a project."""


class Ping(_Command, frozen=True, kw_only=True, tag="ping"):
    """Ask for a sign of life."""


class Authenticate(_Command, frozen=True, kw_only=True, tag="authenticate"):
    """Say who this is, first or again with a fresher token."""

    token: str


Command = Subscribe | Unsubscribe | Ack | WatchProject | UnwatchProject | Ping | Authenticate


class _Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", omit_defaults=True):
    ref: Ref = None

    def encode(self) -> str:
        """The frame as one JSON text message."""
        return msgspec.json.encode(self).decode()


class Welcome(_Frame, frozen=True, kw_only=True, tag="welcome"):
    """Who you are is known; what follows obeys these limits."""

    heartbeat_s: float
    limits: Limits
    server_time: str


class Subscribed(_Frame, frozen=True, kw_only=True, tag="subscribed"):
    """Events after ``cursor`` follow; the snapshot is as of ``head``. ``resumed``: a given cursor is served."""

    run_id: str
    snapshot: RunSnapshot
    cursor: int
    head: int
    resumed: bool


class ResetFrame(_Frame, frozen=True, kw_only=True, tag="reset"):
    """Instead of ``subscribed``: forget what you had, take the snapshot; events after ``cursor`` follow."""

    run_id: str
    reason: ResetReason
    snapshot: RunSnapshot
    cursor: int


class Unsubscribed(_Frame, frozen=True, kw_only=True, tag="unsubscribed"):
    """No more events of that run follow."""

    run_id: str


class Acked(_Frame, frozen=True, kw_only=True, tag="acked"):
    """An ack was received."""

    run_id: str
    event_id: int


class ProjectFrame(_Frame, frozen=True, kw_only=True, tag="project"):
    """The newest runs of a project as they are now, newest first; forget what was told of it before."""

    project_id: str
    runs: tuple[RunSummary, ...]


class RunFrame(_Frame, frozen=True, kw_only=True, tag="run"):
    """A run of a watched project that is new, or has changed."""

    project_id: str
    run: RunSummary


class ProjectUnwatched(_Frame, frozen=True, kw_only=True, tag="project_unwatched"):
    """Nothing more of that project follows."""

    project_id: str


class Pong(_Frame, frozen=True, kw_only=True, tag="pong"):
    """The answer to ``ping``."""


class ErrorFrame(_Frame, frozen=True, kw_only=True, tag="error"):
    """A frame could not be obeyed; ``fatal``: the connection closes with it."""

    code: ErrorCode
    message: str
    fatal: bool
    run_id: str | UnsetType = UNSET
    project_id: str | UnsetType = UNSET


class Finished(_Frame, frozen=True, kw_only=True, tag="finished"):
    """The run's terminal event has been sent; its subscription is over."""

    run_id: str


class Expiring(_Frame, frozen=True, kw_only=True, tag="expiring"):
    """The token expires in so many milliseconds, and the connection with it: ``authenticate`` with a fresher one."""

    expires_in_ms: int


class Draining(_Frame, frozen=True, kw_only=True, tag="draining"):
    """The server is about to restart: come back after this many milliseconds, with your cursors."""

    retry_after_ms: int
