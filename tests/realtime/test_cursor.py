"""What a cursor means and what a viewer is given for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from properties import PROPERTY

from realtime.cursor import Reset, ResetReason, Resume, parse_cursor, resolve

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True),
    st.text(),
    st.binary(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()),
)


@pytest.mark.parametrize(
    ("raw", "cursor"),
    [(0, 0), (7, 7), (10**18 - 1, 10**18 - 1), ("0", 0), ("7", 7), ("007", 7), ("9" * 18, 10**18 - 1)],
)
def test_cursor_that_is_an_id_is_read(raw: object, cursor: int) -> None:
    """A number, or its decimal text, is the event id that it says."""
    assert parse_cursor(raw) == cursor


@pytest.mark.parametrize(
    "raw",
    [
        -1,
        10**18,
        True,
        False,
        None,
        7.0,
        "",
        " 7",
        "7 ",
        "+7",
        "-7",
        "7.0",
        "0x7",
        "1_0",
        "٣",
        "²",
        "1" * 19,
        [7],
        b"7",
    ],
)
def test_cursor_that_is_none_is_malformed(raw: object) -> None:
    """Whatever is not plainly a number from 0 on that a log could have is malformed, and raises nothing."""
    assert parse_cursor(raw) is None


@PROPERTY
@given(ANYTHING)
def test_cursor_of_anything_is_an_id_or_none(raw: Any) -> None:
    """Nothing that a viewer sends raises; what is read is an id that the store can hold."""
    cursor = parse_cursor(raw)
    assert cursor is None or 0 <= cursor < 10**18


@PROPERTY
@given(st.integers(0, 10**6), st.integers(0, 10**6))
@example(7, 7)
@example(8, 7)
def test_cursor_within_the_log_is_served(cursor: int, head: int) -> None:
    """Invariant 6: a cursor up to the head is continued from, one beyond it is reset to the head, with the reason."""
    expected = Resume(cursor) if cursor <= head else Reset(ResetReason.AHEAD, head)
    assert resolve(cursor, head) == expected


def test_malformed_cursor_is_reset_to_the_head() -> None:
    """Invariant 6: a cursor that means nothing is answered with the state now, and why."""
    assert resolve(None, 7) == Reset(ResetReason.MALFORMED, 7)


def test_reset_reasons_are_what_clients_know() -> None:
    """The reasons on the wire are part of the protocol."""
    assert {str(reason) for reason in ResetReason} == {"malformed_cursor", "cursor_ahead_of_log", "log_expired"}
