"""The rules of a WebSocket session and its frames, without I/O."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from properties import PROPERTY

from realtime.cursor import ResetReason
from realtime.frames import (
    Ack,
    Acked,
    Authenticate,
    CloseCode,
    Draining,
    ErrorCode,
    Finished,
    Limits,
    Ping,
    Pong,
    ProjectFrame,
    ProjectUnwatched,
    ResetFrame,
    RunFrame,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    UnwatchProject,
    WatchProject,
    Welcome,
)
from realtime.protocol import ALLOWED, ProtocolError, Session, SessionState, error_frame, judge_ack
from realtime.snapshot import RunSnapshot, summarise

RUN_ID = "6f1c2a52-53e0-4a1e-9d3f-0c6b6a4f5e11"
LIMITS = Limits()


def opened(limits: Limits = LIMITS) -> Session:
    """A session of somebody who is known."""
    session = Session(limits, 0.0)
    session.identified()
    return session


def refused(session: Session, frame: Any, now: float = 0.0) -> ProtocolError:
    """The error that this frame is answered with."""
    with pytest.raises(ProtocolError) as error:
        session.receive(frame if isinstance(frame, str | bytes) else json.dumps(frame), now)
    return error.value


def received(frame: dict[str, Any]) -> Any:
    """The command in that frame."""
    return opened().receive(json.dumps(frame), 0.0)


def test_subscribe_carries_cursor_client_and_start() -> None:
    """Every field of a subscription is read; those left out have their defaults."""
    command = received(
        {"op": "subscribe", "run_id": RUN_ID, "last_event_id": 7, "client_id": "c", "from": "now", "ref": "x"}
    )
    assert isinstance(command, Subscribe)
    assert (str(command.run_id), command.last_event_id, command.client_id) == (RUN_ID, 7, "c")
    assert (command.start, command.ref) == ("now", "x")
    plain = received({"op": "subscribe", "run_id": RUN_ID})
    assert (plain.last_event_id, plain.client_id, plain.start, plain.ref) == (msgspec.UNSET, None, "start", None)


@pytest.mark.parametrize("cursor", [None, "7", -1, 7.5, [], {"a": 1}, True])
def test_subscribe_with_any_cursor_is_let_through(cursor: Any) -> None:
    """Invariant 6: what is no event id is answered with a reset by whoever serves it, so it is no bad frame."""
    assert received({"op": "subscribe", "run_id": RUN_ID, "last_event_id": cursor}).last_event_id == cursor


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ({"op": "unsubscribe", "run_id": RUN_ID}, Unsubscribe),
        ({"op": "ack", "run_id": RUN_ID, "event_id": 7}, Ack),
        ({"op": "watch_project", "project_id": RUN_ID, "ref": "r"}, WatchProject),
        ({"op": "unwatch_project", "project_id": RUN_ID}, UnwatchProject),
        ({"op": "ping"}, Ping),
        ({"op": "ping", "ref": 5, "new": "field"}, Ping),
        ({"op": "authenticate", "token": "t"}, Authenticate),
    ],
)
def test_command_is_known_by_its_op(frame: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    """Each op makes its command, from text and from bytes alike; unknown fields do not matter."""
    assert type(received(frame)) is kind
    assert opened().receive(json.dumps(frame).encode(), 0.0) == received(frame)


@pytest.mark.parametrize(
    ("frame", "code", "ref", "says"),
    [
        ("", ErrorCode.BAD_FRAME, None, "one JSON object"),
        ("hello", ErrorCode.BAD_FRAME, None, "one JSON object"),
        ("[]", ErrorCode.BAD_FRAME, None, "one JSON object"),
        ("{}{}", ErrorCode.BAD_FRAME, None, "one JSON object"),
        ("[" * 60_000, ErrorCode.BAD_FRAME, None, "one JSON object"),
        (b'{"op":"ping","ref":"\xff"}', ErrorCode.BAD_FRAME, None, "one JSON object"),
        ('{"op":"ping","ref":"\ud800"}', ErrorCode.BAD_FRAME, None, "one JSON object"),
        ({"ref": 1}, ErrorCode.BAD_FRAME, 1, "op must be a string"),
        ({"op": 7, "ref": "a"}, ErrorCode.BAD_FRAME, "a", "op must be a string"),
        (
            {"op": "dance", "ref": "a"},
            ErrorCode.UNKNOWN_OP,
            "a",
            "known: ack, authenticate, ping, subscribe, unsubscribe, unwatch_project, watch_project",
        ),
        ({"op": "dance", "ref": ["a"]}, ErrorCode.UNKNOWN_OP, None, "unknown op"),
        ({"op": "x" * 60_000}, ErrorCode.UNKNOWN_OP, None, "unknown op"),
        ({"op": "subscribe", "ref": 2}, ErrorCode.BAD_FRAME, 2, "run_id"),
        ({"op": "subscribe", "run_id": "7"}, ErrorCode.BAD_FRAME, None, "UUID"),
        ({"op": "ack", "run_id": RUN_ID, "event_id": "7"}, ErrorCode.BAD_FRAME, None, "event_id"),
        ({"op": "watch_project", "run_id": RUN_ID}, ErrorCode.BAD_FRAME, None, "project_id"),
        ({"op": "unwatch_project", "project_id": "7"}, ErrorCode.BAD_FRAME, None, "UUID"),
        ({"op": "ping", "ref": ["a"]}, ErrorCode.BAD_FRAME, None, "ref"),
    ],
)
def test_frame_that_is_no_command_is_refused_with_a_reason(
    frame: Any, code: ErrorCode, ref: str | int | None, says: str
) -> None:
    """The error says what is wrong, repeats the ref where one can be read, is short, and does not close."""
    error = refused(opened(), frame)
    assert (error.code, error.ref, error.close) == (code, ref, None)
    assert says in error.message
    assert len(error.message) < 300


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"from": "middle"}, "from must be"),
        ({"client_id": ""}, "1 to 64 characters"),
        ({"client_id": "x" * 65}, "1 to 64 characters"),
    ],
)
def test_subscribe_out_of_bounds_is_refused(more: dict[str, Any], says: str) -> None:
    """A subscription with a wrong start or client id is refused by name of its run; the connection stays."""
    error = refused(opened(), {"op": "subscribe", "run_id": RUN_ID, "ref": "r", **more})
    assert (error.code, error.ref, error.run_id, error.close) == (ErrorCode.BAD_FRAME, "r", RUN_ID, None)
    assert says in error.message
    assert received({"op": "subscribe", "run_id": RUN_ID, "client_id": "x" * 64}).client_id == "x" * 64


def test_frame_over_its_size_closes() -> None:
    """A frame of the allowed bytes is read, one byte more ends the connection; bytes count, not characters."""
    session = opened(Limits(frame_bytes=40))
    fits = '{"op":"ping","ref":"' + "x" * 18 + '"}'
    assert len(fits) == 40
    assert session.receive(fits, 0.0) == Ping(ref="x" * 18)
    for frame in (fits + " ", fits.replace("xx", "xé")):
        error = refused(session, frame)
        assert (error.code, error.close) == (ErrorCode.TOO_LARGE, CloseCode.BAD_PROTOCOL)


def test_unidentified_session_allows_only_authenticate() -> None:
    """Anything before a token closes with 4401, and says what was expected."""
    session = Session(LIMITS, 0.0)
    error = refused(session, {"op": "ping", "ref": "r"})
    assert (error.code, error.ref, error.close) == (ErrorCode.NOT_AUTHENTICATED, "r", CloseCode.NOT_AUTHENTICATED)
    assert isinstance(session.receive('{"op":"authenticate","token":"t"}', 0.0), Authenticate)
    session.identified()
    assert session.receive('{"op":"ping"}', 0.0) == Ping()


def test_closed_session_allows_nothing_and_stays_closed() -> None:
    """A late identity does not open what is closed."""
    session = opened()
    session.closed()
    session.identified()
    assert session.state is SessionState.CLOSED
    assert refused(session, {"op": "authenticate", "token": "t"}).close is not None


def test_every_state_says_what_it_allows() -> None:
    """The table has a row for each state."""
    assert set(ALLOWED) == set(SessionState)


def test_frames_over_the_rate_close() -> None:
    """Two seconds' worth may come at once, then no more than the rate; beyond, the connection ends with 4429."""
    session = opened(Limits(frames_per_s=5))
    for _ in range(10):
        session.receive('{"op":"ping"}', 0.0)
    error = refused(session, {"op": "ping"})
    assert (error.code, error.close) == (ErrorCode.TOO_MANY, CloseCode.TOO_MANY)
    session.receive('{"op":"ping"}', 0.2)
    assert refused(session, {"op": "ping"}, 0.2).code is ErrorCode.TOO_MANY


def test_allowance_does_not_grow_beyond_two_seconds() -> None:
    """However long a client was silent, it may send two seconds' worth at once and no more."""
    session = opened(Limits(frames_per_s=5))
    for _ in range(10):
        session.receive('{"op":"ping"}', 1000.0)
    assert refused(session, {"op": "ping"}, 1000.0).code is ErrorCode.TOO_MANY


def test_acks_do_not_count_against_the_rate() -> None:
    """A viewer may acknowledge every event, however fast they come; bad frames count."""
    session = opened(Limits(frames_per_s=1))
    for event_id in range(1000):
        session.receive(json.dumps({"op": "ack", "run_id": RUN_ID, "event_id": event_id}), 0.0)
    assert refused(session, "nonsense").code is ErrorCode.BAD_FRAME
    assert refused(session, "nonsense").code is ErrorCode.BAD_FRAME
    assert refused(session, "nonsense").code is ErrorCode.TOO_MANY


ODD_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["subscribe", "unsubscribe", "ack", "watch_project", "ping", "authenticate", RUN_ID]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["op", "ref", "run_id", "project_id", "last_event_id", "client_id", "from", "event_id", "token"]
            )
            | st.text(),
            inner,
            max_size=6,
        )
    ),
    max_leaves=10,
)


@PROPERTY
@given(
    st.binary(max_size=200)
    | st.text(st.characters(), max_size=200)
    | ODD_JSON.map(json.dumps)
    | ODD_JSON.map(lambda value: json.dumps(value).encode()),
    st.booleans(),
)
@example(b'{"op":"\xff"}', True)
@example(b'{"op":"ping","ref":' + b"9" * 4300 + b"}", True)
@example(b'{"op":"ping","ref":' + b"9" * 5000 + b"}", True)
@example(b'{"op":1e99999}', True)
@example('{"op":"ping","ref":"\ud800"}', True)
@example(b"[" * 60_000, False)
@example(b'{"op":"ping","ref":' + b"[" * 60_000, True)
def test_anything_received_is_a_command_or_a_protocol_error(frame: str | bytes, known: bool) -> None:
    """Nothing that a client can send raises anything else, and every answer to it can be encoded."""
    session = opened() if known else Session(LIMITS, 0.0)
    try:
        command = session.receive(frame, 0.0)
    except ProtocolError as error:
        json.loads(error_frame(error).encode())
    else:
        assert isinstance(command, ALLOWED[session.state])
        json.loads(Pong(ref=command.ref).encode())


def ack(event_id: int) -> Ack:
    """A client's word that it has handled everything up to that id."""
    return received({"op": "ack", "run_id": RUN_ID, "event_id": event_id, "ref": 3})


@pytest.mark.parametrize(("event_id", "news"), [(4, False), (5, False), (6, True), (9, True), (-1, False)])
def test_ack_is_news_only_above_the_last(event_id: int, *, news: bool) -> None:
    """Acks are cumulative: what is not above the last says nothing new, and is no error."""
    assert judge_ack(ack(event_id), cursor=9, acked=5) is news


def test_ack_ahead_of_what_was_sent_is_refused() -> None:
    """A viewer cannot have handled what it was not sent; it is told how far that is."""
    with pytest.raises(ProtocolError, match="newest sent is 9") as error:
        judge_ack(ack(10), cursor=9, acked=5)
    assert (error.value.code, error.value.ref, error.value.run_id) == (ErrorCode.ACK_AHEAD, 3, RUN_ID)
    assert error.value.close is None


def test_error_frame_says_whether_the_connection_ends() -> None:
    """An error carries code, message, ref and run where it has them, and ``fatal`` when a close follows."""
    plain = error_frame(ProtocolError(ErrorCode.BAD_FRAME, "no"))
    assert json.loads(plain.encode()) == {"op": "error", "code": "BAD_FRAME", "message": "no", "fatal": False}
    fatal = error_frame(ProtocolError(ErrorCode.TOO_MANY, "stop", ref="r", run_id=RUN_ID, close=CloseCode.TOO_MANY))
    assert json.loads(fatal.encode()) == {
        "op": "error",
        "code": "TOO_MANY",
        "message": "stop",
        "fatal": True,
        "run_id": RUN_ID,
        "ref": "r",
    }
    of_project = json.loads(error_frame(ProtocolError(ErrorCode.FORBIDDEN, "no", project_id="p")).encode())
    assert of_project["project_id"] == "p"
    assert "run_id" not in of_project


SNAPSHOT = RunSnapshot(
    id=RUN_ID,
    project_id="p",
    status="queued",
    pipeline_mode="sequential",
    agents_selected=("a",),
    steps=(),
    last_event_id=3,
    total_tokens=0,
    error_code=None,
    error_message=None,
    started_by="u",
    created_at="t",
    started_at=None,
    completed_at=None,
    server_time="t",
)


@pytest.mark.parametrize(
    ("frame", "encoded"),
    [
        (Pong(), {"op": "pong"}),
        (Pong(ref=0), {"op": "pong", "ref": 0}),
        (Unsubscribed(run_id="r"), {"op": "unsubscribed", "run_id": "r"}),
        (Acked(run_id="r", event_id=7, ref="x"), {"op": "acked", "run_id": "r", "event_id": 7, "ref": "x"}),
        (Finished(run_id="r"), {"op": "finished", "run_id": "r"}),
        (ProjectFrame(project_id="p", runs=(), ref=1), {"op": "project", "project_id": "p", "runs": [], "ref": 1}),
        (
            RunFrame(project_id="p", run=summarise(SNAPSHOT)),
            {"op": "run", "project_id": "p", "run": msgspec.to_builtins(summarise(SNAPSHOT))},
        ),
        (ProjectUnwatched(project_id="p"), {"op": "project_unwatched", "project_id": "p"}),
        (Draining(retry_after_ms=500), {"op": "draining", "retry_after_ms": 500}),
        (
            Welcome(heartbeat_s=15.0, limits=LIMITS, server_time="t"),
            {
                "op": "welcome",
                "heartbeat_s": 15.0,
                "limits": {
                    "frame_bytes": 65536,
                    "subscriptions": 64,
                    "frames_per_s": 50,
                    "identify_s": 10.0,
                    "client_id_chars": 64,
                },
                "server_time": "t",
            },
        ),
        (
            Subscribed(run_id="r", snapshot=SNAPSHOT, cursor=0, head=3, resumed=False),
            {
                "op": "subscribed",
                "run_id": "r",
                "snapshot": msgspec.to_builtins(SNAPSHOT),
                "cursor": 0,
                "head": 3,
                "resumed": False,
            },
        ),
        (
            ResetFrame(run_id="r", reason=ResetReason.AHEAD, snapshot=SNAPSHOT, cursor=3),
            {
                "op": "reset",
                "run_id": "r",
                "reason": "cursor_ahead_of_log",
                "snapshot": msgspec.to_builtins(SNAPSHOT),
                "cursor": 3,
            },
        ),
    ],
)
def test_control_frame_has_op_and_every_field(frame: Any, encoded: dict[str, Any]) -> None:
    """Each frame is an object with ``op`` and all its fields, also zero and false ones; ref only where given."""
    assert json.loads(frame.encode()) == json.loads(json.dumps(encoded))


@pytest.mark.parametrize("code", list(CloseCode))
def test_close_code_says_whether_to_come_back(code: CloseCode) -> None:
    """After a restart, trouble inside, slowness or too much, the same client may reconnect; else it must change."""
    assert code.reconnect is (code in {1011, 1012, 4408, 4429})
