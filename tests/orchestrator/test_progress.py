"""How often progress is saved, against a manual clock."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manual_clock import ManualClock, Watched
from properties import PROPERTY
from run_stage import turns

from orchestrator.progress import INTERVAL_S, STALLED_S, ProgressMeter

SETTLED = 12
"""Turns of the event loop after which a meter waits again."""


class Saved(Watched[tuple[float, int, str, bool]]):
    """When what was saved; with ``error``, saving raises it."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.error: Exception | None = None

    async def save(self, percent: int, label: str, *, stalled: bool) -> None:
        if self.error is not None:
            raise self.error
        self.append((self.clock.monotonic(), percent, label, stalled))

    @property
    def values(self) -> list[tuple[int, str]]:
        """What was saved."""
        return [(percent, label) for _, percent, label, _ in self]


@contextlib.asynccontextmanager
async def metering() -> AsyncIterator[tuple[ProgressMeter, Saved, asyncio.Task[None]]]:
    """A running meter whose step has started with the label ``start``."""
    clock = ManualClock()
    saved = Saved(clock)
    meter = ProgressMeter(saved.save, clock, "start")
    task = asyncio.create_task(meter.run())
    try:
        yield meter, saved, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_report_after_silence_is_saved_at_once() -> None:
    """The first report does not wait for an interval to pass."""
    async with metering() as (meter, saved, _):
        meter.report(5, "reading")
        assert await saved.nth(1) == (0, 5, "reading", False)


async def test_reports_within_an_interval_are_joined_and_the_last_is_saved() -> None:
    """Between two saves an interval passes; the newest report, and only it, is saved then."""
    async with metering() as (meter, saved, _):
        meter.report(5, "a")
        await saved.clock.naps.nth(1)
        meter.report(6, "b")
        meter.report(7, "c")
        saved.clock.advance(INTERVAL_S - 0.01)
        await turns(5)
        assert len(saved) == 1
        saved.clock.advance(0.01)
        assert await saved.nth(2) == (INTERVAL_S, 7, "c", False)


async def test_report_that_changes_nothing_is_not_saved() -> None:
    """Neither the start again, nor a repeated report, nor one that comes back to what is saved makes an event."""
    async with metering() as (meter, saved, _):
        meter.report(0, "start")
        meter.report(5, "a")
        await saved.clock.naps.nth(1)
        meter.report(5, "a")
        meter.report(5, "b")
        meter.report(5, "a")
        saved.clock.advance(1)
        await turns(5)
        meter.report(6, "a")
        await saved.nth(2)
        assert saved.values == [(5, "a"), (6, "a")]


async def test_percentage_stays_within_bounds_and_never_falls() -> None:
    """What is out of range is brought into it, and a lower percentage is told with its label at the higher one."""
    async with metering() as (meter, saved, _):
        for number, (percent, label) in enumerate([(-5, "a"), (60, "b"), (40, "c"), (900, "d")], start=1):
            meter.report(percent, label)
            await saved.clock.naps.nth(number)
            saved.clock.advance(INTERVAL_S)
        assert saved.values == [(0, "a"), (60, "b"), (60, "c"), (100, "d")]


async def test_silence_is_told_once_and_ended_by_the_next_report() -> None:
    """After 60 s without a report that differs the meter says so, however long it lasts; then all is as before."""
    async with metering() as (meter, saved, _):
        for number in range(1, 4):
            await saved.clock.patience.nth(number)
            meter.report(0, "start")
            saved.clock.advance(STALLED_S)
            if number == 1:
                told = (STALLED_S, 0, "start (no progress for 60 s)", True)
                assert await saved.nth(1) == told
                await saved.clock.naps.nth(1)
                saved.clock.advance(INTERVAL_S)
        await saved.clock.patience.nth(4)
        assert len(saved) == 1
        meter.report(0, "reading")
        assert (await saved.nth(2))[1:] == (0, "reading", False)
        await saved.clock.naps.nth(2)
        saved.clock.advance(INTERVAL_S)
        await saved.clock.patience.nth(5)
        saved.clock.advance(STALLED_S)
        assert (await saved.nth(3))[1:] == (0, "reading (no progress for 60 s)", True)


async def test_report_just_before_the_silence_is_told_begins_it_anew() -> None:
    """Sixty seconds count from the last report, not from the start."""
    async with metering() as (meter, saved, _):
        await saved.clock.patience.nth(1)
        saved.clock.advance(STALLED_S - 1)
        meter.report(5, "a")
        await saved.clock.naps.nth(1)
        saved.clock.advance(INTERVAL_S)
        await saved.clock.patience.nth(2)
        saved.clock.advance(STALLED_S - 1)
        await turns(SETTLED)
        assert saved.values == [(5, "a")]
        saved.clock.advance(1)
        assert (await saved.nth(2))[3] is True


async def test_same_percentage_and_label_again_after_the_silence_is_told() -> None:
    """An agent that says again what it said before the silence has moved only if something differs."""
    async with metering() as (meter, saved, _):
        meter.report(5, "a")
        await saved.clock.naps.nth(1)
        saved.clock.advance(INTERVAL_S)
        await saved.clock.patience.nth(2)
        saved.clock.advance(STALLED_S)
        await saved.nth(2)
        meter.report(5, "a")
        await turns(SETTLED)
        assert [stalled for *_, stalled in saved] == [False, True]


async def test_save_that_fails_ends_the_meter() -> None:
    """Whoever waits for the meter learns that progress cannot be saved."""
    async with metering() as (meter, saved, task):
        saved.error = LookupError("gone")
        meter.report(5, "a")
        with pytest.raises(LookupError):
            await task


@PROPERTY
@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(-10, 120), st.sampled_from("ab")), st.floats(0.01, 0.6).map(lambda s: round(s, 2))
        ),
        max_size=40,
    )
)
def test_any_reports_make_at_most_four_events_a_second(script: list[tuple[int, str] | float]) -> None:
    """Whatever is reported when: at most four a second, each unlike the one before, no fall, the last is saved."""

    async def play() -> None:
        async with metering() as (meter, saved, _):
            newest = (0, "start")
            for act in script:
                if isinstance(act, float):
                    saved.clock.advance(act)
                else:
                    meter.report(*act)
                    newest = (max(newest[0], min(100, act[0])), act[1])
                await turns(SETTLED)
            saved.clock.advance(INTERVAL_S)
            await turns(SETTLED)
            values = [(0, "start"), *saved.values]
            assert values[-1] == newest
            assert all(before != after and before[0] <= after[0] for before, after in itertools.pairwise(values))
            times = [at for at, *_ in saved]
            assert all(later - earlier > INTERVAL_S - 1e-6 for earlier, later in itertools.pairwise(times))

    asyncio.run(play())
