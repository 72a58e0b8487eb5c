"""The rules of a WebSocket session without I/O: frame in, command or error out; what each state allows.

Nothing here waits, reads a clock or knows a socket, so every rule can be tried by calling it. ``docs/protocol.md``
describes the same for people.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import UNSET

from realtime.frames import (
    Ack,
    Authenticate,
    CloseCode,
    Command,
    ErrorCode,
    ErrorFrame,
    Limits,
    Ping,
    Ref,
    Subscribe,
    Unsubscribe,
    UnwatchProject,
    WatchProject,
)


class ProtocolError(Exception):
    """A frame that cannot be obeyed. ``close`` is set where the connection ends with it."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        ref: Ref = None,
        run_id: str | None = None,
        project_id: str | None = None,
        close: CloseCode | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.ref = ref
        self.run_id = run_id
        self.project_id = project_id
        self.close = close


_decode_command = msgspec.json.Decoder(Command).decode

_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeError)
"""What decoding raises for bytes that are not JSON, not UTF-8, or not of the form asked for."""


class _Envelope(msgspec.Struct):
    op: Any = None
    ref: Any = None


_KNOWN_OPS = frozenset(
    {"subscribe", "unsubscribe", "ack", "watch_project", "unwatch_project", "ping", "authenticate"}
)


class SessionState(StrEnum):
    """Where a connection stands."""

    UNIDENTIFIED = "unidentified"
    """Accepted without cookie or header: the first frame must be ``authenticate``."""
    OPEN = "open"
    CLOSED = "closed"


ALLOWED: dict[SessionState, tuple[type[Command], ...]] = {
    SessionState.UNIDENTIFIED: (Authenticate,),
    SessionState.OPEN: (Subscribe, Unsubscribe, Ack, WatchProject, UnwatchProject, Ping, Authenticate),
    SessionState.CLOSED: (),
}


class Session:
    """The rules of one connection. Times are seconds of any one monotonic clock."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.state = SessionState.UNIDENTIFIED
        self._limits = limits
        self._allowance = 2.0 * limits.frames_per_s
        self._last = now

    def identified(self) -> None:
        """Somebody is known now; every command is allowed."""
        if self.state is SessionState.UNIDENTIFIED:
            self.state = SessionState.OPEN

    def closed(self) -> None:
        """Nothing is allowed any more."""
        self.state = SessionState.CLOSED

    def receive(self, frame: str | bytes, now: float) -> Command:
        """The command in ``frame``, checked against size, rate, form and state.

        Raises:
            ProtocolError: it is none, or not allowed here and now.

        """
        data = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
        if len(data) > self._limits.frame_bytes:
            raise ProtocolError(
                ErrorCode.TOO_LARGE,
                f"a frame may have {self._limits.frame_bytes} bytes",
                close=CloseCode.BAD_PROTOCOL,
            )
        command = self._decode(data, now)
        if not isinstance(command, ALLOWED[self.state]):
            raise ProtocolError(
                ErrorCode.NOT_AUTHENTICATED,
                "the first frame must be authenticate",
                ref=command.ref,
                close=CloseCode.NOT_AUTHENTICATED,
            )
        return command

    def _decode(self, frame: bytes, now: float) -> Command:
        try:
            command: Command = _decode_command(frame)
        except _UNREADABLE as error:
            self._count(now)
            raise _explain(frame, error) from None
        if not isinstance(command, Ack):
            self._count(now)
        if isinstance(command, Subscribe):
            self._check_subscribe(command)
        return command

    def _check_subscribe(self, command: Subscribe) -> None:
        if command.start not in {"start", "now"}:
            raise ProtocolError(
                ErrorCode.BAD_FRAME, 'from must be "start" or "now"', ref=command.ref, run_id=str(command.run_id)
            )
        longest = self._limits.client_id_chars
        if command.client_id is not None and not 1 <= len(command.client_id) <= longest:
            raise ProtocolError(
                ErrorCode.BAD_FRAME,
                f"client_id must have 1 to {longest} characters",
                ref=command.ref,
                run_id=str(command.run_id),
            )

    def _count(self, now: float) -> None:
        """Spend one frame of a token bucket that refills evenly.

        It holds two seconds' worth, so that a client may subscribe to all its runs at once.
        """
        rate = self._limits.frames_per_s
        self._allowance = min(2.0 * rate, self._allowance + (now - self._last) * rate)
        self._last = now
        if self._allowance < 1:
            raise ProtocolError(ErrorCode.TOO_MANY, f"more than {rate} frames per second", close=CloseCode.TOO_MANY)
        self._allowance -= 1


def _explain(frame: bytes, error: Exception) -> ProtocolError:
    """The most helpful error for a frame that is no command."""
    try:
        envelope = msgspec.json.decode(frame, type=_Envelope)
    except _UNREADABLE:
        return ProtocolError(ErrorCode.BAD_FRAME, "a frame must be one JSON object with op")
    ref = _read_ref(envelope.ref)
    if not isinstance(envelope.op, str):
        return ProtocolError(ErrorCode.BAD_FRAME, "op must be a string", ref=ref)
    if envelope.op not in _KNOWN_OPS:
        known = ", ".join(sorted(_KNOWN_OPS))
        return ProtocolError(ErrorCode.UNKNOWN_OP, f"unknown op {envelope.op[:64]!r}; known: {known}", ref=ref)
    return ProtocolError(ErrorCode.BAD_FRAME, f"{envelope.op}: {error}", ref=ref)


def _read_ref(value: Any) -> Ref:
    try:
        ref: Ref = msgspec.convert(value, Ref)
    except msgspec.ValidationError:
        return None
    return ref


def judge_ack(ack: Ack, *, cursor: int, acked: int) -> bool:
    """Whether an ack says something new: above what was acked before.

    Raises:
        ProtocolError: ACK_AHEAD, it is above ``cursor``: that event was not sent.

    """
    if ack.event_id > cursor:
        raise ProtocolError(
            ErrorCode.ACK_AHEAD,
            f"event {ack.event_id} was not sent; the newest sent is {cursor}",
            ref=ack.ref,
            run_id=str(ack.run_id),
        )
    return ack.event_id > acked


def error_frame(error: ProtocolError) -> ErrorFrame:
    """What to send for ``error``."""
    return ErrorFrame(
        code=error.code,
        message=error.message,
        fatal=error.close is not None,
        run_id=error.run_id or UNSET,
        project_id=error.project_id or UNSET,
        ref=error.ref,
    )
