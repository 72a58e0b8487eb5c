"""The newest part of a run's log in memory, against a plain list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from properties import PROPERTY

from realtime.events import Event
from realtime.tail import Appended, RunTail


def event(event_id: int, size: int = 2) -> Event:
    """An event with that id, whose payload has about that many characters."""
    return Event("r", event_id, "running", '{"a":"' + "x" * size + '"}')


def terminal(event_id: int) -> Event:
    """A terminal event with that id."""
    return Event("r", event_id, "complete", '{"all_done":true}')


def ids(events: list[Event] | None) -> list[int] | None:
    """The ids of what `RunTail.after` found."""
    return None if events is None else [found.id for found in events]


def test_tail_that_is_new_knows_its_head_and_holds_nothing() -> None:
    """A tail that begins at a head serves who is there already, and nobody from before."""
    tail = RunTail(7)
    assert (tail.floor, tail.head, tail.bytes, tail.ended) == (7, 7, 0, False)
    assert tail.after(7, 10) == []
    assert tail.after(6, 10) is None


def test_tail_takes_only_the_next_event() -> None:
    """Invariant 3: head + 1 is taken; what was there and what leaves a gap changes nothing and says so."""
    tail = RunTail(7)
    assert tail.append(event(9)) is Appended.GAP
    assert tail.append(event(7)) is Appended.KNOWN
    assert (tail.head, tail.bytes) == (7, 0)
    assert tail.append(event(8)) is Appended.ADDED
    assert tail.append(event(8)) is Appended.KNOWN
    assert ids(tail.after(7, 10)) == [8]


def test_tail_returns_the_very_events() -> None:
    """Invariant 4: viewers share the event and with it its encodings."""
    tail = RunTail(0)
    one = event(1)
    tail.append(one)
    assert tail.after(0, 1) == [one]


def test_tail_over_its_number_loses_the_oldest() -> None:
    """The newest stay, and who is behind them is sent to the log."""
    tail = RunTail(0, max_events=3)
    for event_id in range(1, 6):
        tail.append(event(event_id))
    assert tail.floor == 2
    assert ids(tail.after(2, 10)) == [3, 4, 5]
    assert tail.after(1, 10) is None


def test_tail_over_its_bytes_loses_the_oldest_but_keeps_the_newest() -> None:
    """One event larger than the whole allowance stays, alone, until the next comes."""
    tail = RunTail(0, max_bytes=5000)
    tail.append(event(1))
    tail.append(event(2, 5000))
    assert (tail.floor, ids(tail.after(1, 10))) == (1, [2])
    tail.append(event(3))
    assert (tail.floor, ids(tail.after(2, 10)), tail.bytes) == (2, [3], event(3).size)


@pytest.mark.parametrize("limit", [0, 1, 2, 100])
def test_after_gives_up_to_its_limit(limit: int) -> None:
    """What is beyond the limit is asked for with the next cursor."""
    tail = RunTail(0)
    for event_id in range(1, 4):
        tail.append(event(event_id))
    assert ids(tail.after(1, limit)) == [2, 3][:limit]


def test_tail_has_ended_with_the_terminal_event() -> None:
    """The end is known as long as the terminal event is the newest held."""
    tail = RunTail(0)
    tail.append(event(1))
    assert not tail.ended
    tail.append(terminal(2))
    assert tail.ended
    assert not RunTail(2).ended


class TailAgainstList(RuleBasedStateMachine):
    """Any sequence of offers and questions; the model is a plain list of everything that was ever taken."""

    @initialize(head=st.integers(0, 20), max_events=st.integers(1, 6), max_bytes=st.integers(600, 6000))
    def begin(self, head: int, max_events: int, max_bytes: int) -> None:
        self.tail = RunTail(head, max_events=max_events, max_bytes=max_bytes)
        self.begun_at = head
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.taken: list[Event] = []

    @property
    def head(self) -> int:
        return self.begun_at + len(self.taken)

    @property
    def held(self) -> list[Event]:
        """The newest that fit, by the words of the class."""
        held = self.taken[-self.max_events :]
        while len(held) > 1 and sum(kept.size for kept in held) > self.max_bytes:
            held = held[1:]
        return held

    @rule(distance=st.integers(-3, 4), size=st.integers(0, 800), ends=st.booleans())
    def append(self, distance: int, size: int, ends: bool) -> None:
        offered = terminal(self.head + distance) if ends else event(self.head + distance, size)
        outcome = self.tail.append(offered)
        if distance < 1:
            assert outcome is Appended.KNOWN
        elif distance > 1:
            assert outcome is Appended.GAP
        else:
            assert outcome is Appended.ADDED
            self.taken.append(offered)

    @rule(cursor=st.integers(0, 60), limit=st.integers(0, 8))
    def after(self, cursor: int, limit: int) -> None:
        found = self.tail.after(cursor, limit)
        if cursor < self.head - len(self.held):
            assert found is None
        else:
            assert found == [kept for kept in self.held if kept.id > cursor][:limit]

    @invariant()
    def holds_the_newest_that_fit(self) -> None:
        held = self.held
        assert self.tail.head == self.head
        assert self.tail.floor == self.head - len(held)
        assert self.tail.bytes == sum(kept.size for kept in held)
        assert self.tail.ended == (bool(held) and held[-1].terminal)


TestTailAgainstList = TailAgainstList.TestCase
TestTailAgainstList.settings = settings(PROPERTY, stateful_step_count=30)


@PROPERTY
@given(st.lists(st.integers(1, 12), max_size=40))
def test_tail_offered_any_order_stays_contiguous(offers: list[int]) -> None:
    """Invariant 3: whatever comes in whatever order, a reader of the tail sees 1, 2, 3 … without gap or repeat."""
    tail = RunTail(0)
    for event_id in offers:
        tail.append(event(event_id))
    assert ids(tail.after(0, 100)) == list(range(1, tail.head + 1))
