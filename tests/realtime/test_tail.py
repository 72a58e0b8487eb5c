"""The newest part of a run's log in memory, against a plain list."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from properties import PROPERTY

from realtime.events import Event
from realtime.page import PAGE_EVENTS, Page
from realtime.tail import SHARED_PAGES, Appended, RunTail, TailBudget


def event(event_id: int, size: int = 2) -> Event:
    """An event with that id, whose payload has about that many characters."""
    return Event("r", event_id, "running", '{"a":"' + "x" * size + '"}')


def terminal(event_id: int) -> Event:
    """A terminal event with that id."""
    return Event("r", event_id, "complete", '{"all_done":true}')


def ids(page: Page | None) -> list[int] | None:
    """The ids of what `RunTail.after` found."""
    return None if page is None else [found.id for found in page.events]


def test_tail_that_is_new_knows_its_head_and_holds_nothing() -> None:
    """A tail that begins at a head serves who is there already, and nobody from before."""
    tail = RunTail(7)
    assert (tail.floor, tail.head, tail.bytes, tail.ended) == (7, 7, 0, False)
    assert ids(tail.after(7)) == []
    assert tail.after(6) is None


def test_tail_that_skips_holds_nothing_and_goes_on_there() -> None:
    """What is between is lost to whoever asks memory for it; the next event is that after the new head."""
    tail = RunTail(0)
    tail.append(event(1))
    tail.skip_to(5)
    assert (tail.floor, tail.head, tail.bytes) == (5, 5, 0)
    assert tail.after(1) is None
    assert tail.append(event(6)) is Appended.ADDED
    assert ids(tail.after(5)) == [6]


def test_tail_takes_only_the_next_event() -> None:
    """Invariant 3: head + 1 is taken; what was there and what leaves a gap changes nothing and says so."""
    tail = RunTail(7)
    assert tail.append(event(9)) is Appended.GAP
    assert tail.append(event(7)) is Appended.KNOWN
    assert (tail.head, tail.bytes) == (7, 0)
    assert tail.append(event(8)) is Appended.ADDED
    assert tail.append(event(8)) is Appended.KNOWN
    assert ids(tail.after(7)) == [8]


def test_tail_returns_the_very_events() -> None:
    """Invariant 4: viewers share the event and with it its encodings."""
    tail = RunTail(0)
    one = event(1)
    tail.append(one)
    page = tail.after(0)
    assert page is not None
    assert page.events == [one]


def test_tail_takes_what_was_read_and_ends_where_it_begins() -> None:
    """Older events of the log are put before it, newest first: none twice, none after a gap, while there is room."""
    tail = RunTail(5, max_events=3)
    tail.prepend([event(3)])
    assert (tail.floor, tail.bytes) == (5, 0)
    tail.append(event(6))
    tail.prepend([event(5)])
    tail.prepend([event(event_id) for event_id in range(1, 7)])
    assert (tail.floor, tail.head, tail.bytes) == (3, 6, 3 * event(1).size)
    assert ids(tail.after(3)) == [4, 5, 6]


def test_tail_over_its_number_loses_the_oldest() -> None:
    """The newest stay, and who is behind them is sent to the log."""
    tail = RunTail(0, max_events=3)
    for event_id in range(1, 6):
        tail.append(event(event_id))
    assert tail.floor == 2
    assert ids(tail.after(2)) == [3, 4, 5]
    assert tail.after(1) is None


def test_tail_over_its_bytes_loses_the_oldest_but_keeps_the_newest() -> None:
    """One event larger than the whole allowance stays, alone, until the next comes."""
    tail = RunTail(0, max_bytes=5000)
    tail.append(event(1))
    tail.append(event(2, 5000))
    assert (tail.floor, ids(tail.after(1))) == (1, [2])
    tail.append(event(3))
    assert (tail.floor, ids(tail.after(2)), tail.bytes) == (2, [3], event(3).size)


def test_after_gives_pages_that_viewers_share() -> None:
    """Invariant 4: equal cursors get the same page, with its bytes, until something is appended."""
    tail = RunTail(0)
    for event_id in range(1, PAGE_EVENTS + 3):
        tail.append(event(event_id))
    page = tail.after(0)
    assert ids(page) == list(range(1, PAGE_EVENTS + 1))
    assert tail.after(0) is page
    assert ids(tail.after(PAGE_EVENTS)) == [PAGE_EVENTS + 1, PAGE_EVENTS + 2]
    for cursor in range(2 * SHARED_PAGES):
        tail.after(cursor)
    assert tail.after(0) is not page
    tail.append(event(PAGE_EVENTS + 3))
    assert ids(tail.after(PAGE_EVENTS)) == [PAGE_EVENTS + 1, PAGE_EVENTS + 2, PAGE_EVENTS + 3]


def test_budget_over_its_bytes_has_the_least_recently_used_forget() -> None:
    """All tails together stay within a number of bytes; one that forgot still knows its head."""
    tails = [RunTail(0) for _ in range(3)]
    budget = TailBudget(2 * event(1).size)
    for tail in tails[:2]:
        tail.append(event(1))
        budget.use(tail)
    budget.use(tails[0])
    tails[2].append(event(1))
    budget.use(tails[2])
    assert [tail.bytes for tail in tails] == [event(1).size, 0, event(1).size]
    assert (tails[1].floor, tails[1].head, budget.bytes) == (1, 1, 2 * event(1).size)
    assert tails[1].after(0) is None
    budget.release(tails[0])
    assert budget.bytes == event(1).size
    tails[2].append(event(2, 100_000))
    budget.use(tails[2])
    assert ids(tails[2].after(0)) == [1, 2], "the one in use stays, whatever its size"


def test_tail_has_ended_with_the_terminal_event() -> None:
    """The end is known as long as the terminal event is the newest held."""
    tail = RunTail(0)
    tail.append(event(1))
    assert not tail.ended
    tail.append(terminal(2))
    assert tail.ended
    assert not RunTail(2).ended


class TailAgainstList(RuleBasedStateMachine):
    """Any sequence of offers and questions; the model is a plain list of what is to be held."""

    @initialize(head=st.integers(0, 20), max_events=st.integers(1, 6), max_bytes=st.integers(600, 6000))
    def begin(self, head: int, max_events: int, max_bytes: int) -> None:
        self.tail = RunTail(head, max_events=max_events, max_bytes=max_bytes)
        self.head = head
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.held: list[Event] = []

    @property
    def floor(self) -> int:
        return self.head - len(self.held)

    def fits(self, held: list[Event]) -> bool:
        """True where so much may be held."""
        return len(held) <= self.max_events and sum(kept.size for kept in held) <= self.max_bytes

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
            self.head += 1
            self.held.append(offered)
            while len(self.held) > 1 and not self.fits(self.held):
                del self.held[0]

    @rule(first=st.integers(1, 30), count=st.integers(0, 8), size=st.integers(0, 800))
    def prepend(self, first: int, count: int, size: int) -> None:
        read = [event(event_id, size) for event_id in range(first, first + count)]
        self.tail.prepend(read)
        for offered in reversed(read):
            if offered.id == self.floor:
                if not self.fits([offered, *self.held]):
                    break
                self.held.insert(0, offered)

    @rule()
    def forget(self) -> None:
        self.tail.forget()
        self.held = []

    @rule(cursor=st.integers(0, 60))
    def after(self, cursor: int) -> None:
        found = self.tail.after(cursor)
        if cursor < self.floor:
            assert found is None
        else:
            assert found is not None
            assert list(found.events) == [kept for kept in self.held if kept.id > cursor]

    @invariant()
    def holds_the_newest_that_fit(self) -> None:
        assert self.tail.head == self.head
        assert self.tail.floor == self.floor
        assert self.tail.bytes == sum(kept.size for kept in self.held)
        assert self.tail.ended == (bool(self.held) and self.held[-1].terminal)


TestTailAgainstList = TailAgainstList.TestCase
TestTailAgainstList.settings = settings(PROPERTY, stateful_step_count=30)


@PROPERTY
@given(st.lists(st.integers(1, 12), max_size=40))
def test_tail_offered_any_order_stays_contiguous(offers: list[int]) -> None:
    """Invariant 3: whatever comes in whatever order, a reader of the tail sees 1, 2, 3 … without gap or repeat."""
    tail = RunTail(0)
    for event_id in offers:
        tail.append(event(event_id))
    assert ids(tail.after(0)) == list(range(1, tail.head + 1))
