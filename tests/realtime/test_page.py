"""A page of a run's log: its bounds, and the bytes that viewers share."""

from __future__ import annotations

from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from realtime.events import Event
from realtime.page import PAGE_BYTES, PAGE_EVENTS, Page
from realtime.wire import chunk


def test_page_has_its_events_on_each_wire() -> None:
    """One message or event each, in their order, as each event has them by itself."""
    events = [Event("r", event_id, "running", '{"a":1}') for event_id in (4, 5)]
    page = Page.of(3, events)
    reader = Connection(ConnectionType.CLIENT)
    reader.receive_data(page.frames)
    assert [event.data for event in reader.events() if isinstance(event, TextMessage)] == [
        event.text for event in events
    ]
    assert page.sse == events[0].sse + events[1].sse
    assert page.chunk == chunk(page.sse)
    assert (page.last, page.terminal) == (5, False)


def test_page_is_full_at_its_bytes_but_takes_one_event() -> None:
    """However large an event is, it is sent."""
    events = [Event("r", event_id, "running", '{"a":"' + "x" * PAGE_BYTES + '"}') for event_id in (1, 2)]
    assert [event.id for event in Page.of(0, events).events] == [1]
    empty = Page.of(7, [])
    assert (empty.events, empty.last, empty.terminal) == ([], 7, False)


def test_page_is_full_at_its_number_of_events() -> None:
    """However small events are, others are served in between."""
    events = [Event("r", event_id, "running", "{}") for event_id in range(1, PAGE_EVENTS + 2)]
    assert Page.of(0, events).last == PAGE_EVENTS


def test_page_with_the_end_of_a_run_is_terminal() -> None:
    """The last event decides, and only an `all_done` does."""
    step, end = (
        Event("r", event_id, "complete", payload) for event_id, payload in ((1, "{}"), (2, '{"all_done":true}'))
    )
    assert not Page.of(0, [step]).terminal
    assert Page.of(0, [step, end]).terminal
