"""``scripts/bench fanout`` and the others: one command for each kind of work, and one for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from report import show

from delivery import contests
from delivery.catalogue import CATALOGUE, TRANSPORTS
from delivery.everything import FULL, QUICK, measure_everything
from delivery.goals import goals, judge
from delivery.measuring import Measuring
from delivery.options import Command, file_options, measurement, turn_options
from delivery.publishers import Load
from delivery.stalled import Stall


def viewers_option(default: int) -> Callable[[Command], Command]:
    """``--viewers``."""
    return click.option("--viewers", type=click.IntRange(1), default=default, help="How many watch.")


def load_options(rate: float) -> Callable[[Command], Command]:
    """``--rate`` and ``--seconds``."""

    def add(command: Command) -> Command:
        seconds = click.FloatRange(0, min_open=True)
        lasting = click.option("--seconds", type=seconds, default=5.0, help="How long they come.")(command)
        return click.option("--rate", type=click.FloatRange(0, min_open=True), default=rate, help="Events/s.")(
            lasting
        )

    return add


@click.command()
@viewers_option(500)
@load_options(20.0)
@measurement(tuple(CATALOGUE))
def fanout(measuring: Measuring, viewers: int, rate: float, seconds: float) -> None:
    """Many viewers of one run: server CPU per delivered event, latency, memory per viewer."""
    contests.run_fanout(measuring, viewers, Load(1, rate, seconds))


@click.command()
@click.option("--runs", type=click.IntRange(1), default=1000, help="How many, each with one viewer.")
@load_options(1.0)
@measurement(("direct", "floor"), contests.PER_RUN)
def sparse(measuring: Measuring, runs: int, rate: float, seconds: float) -> None:
    """Many runs with one viewer each, their events one by one over all the time: server CPU per event."""
    contests.run_sparse(measuring, Load(runs, rate, seconds))


@click.command()
@viewers_option(500)
@measurement(("direct", "asgi", "floor", "nchan", "ws", "socketio", "quart"))
def idle(measuring: Measuring, viewers: int) -> None:
    """Viewers of a run in which nothing happens: memory of the server for each."""
    contests.run_idle(measuring, viewers)


@click.command()
@viewers_option(1000)
@click.option("--behind", type=click.IntRange(1), default=200, help="Events that each of ours has missed.")
@measurement(("direct", "socketio"))
def storm(measuring: Measuring, viewers: int, behind: int) -> None:
    """Everybody connects at once: time until the last has all it missed; the peers only accept, without replay."""
    contests.run_storm(measuring, viewers, behind)


@click.command()
@viewers_option(500)
@click.option("--stalled", type=click.IntRange(1), default=50, help="How many of them stop reading.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=20.0, help="Events/s.")
@click.option("--padding", type=click.IntRange(0), default=4000, help="Bytes more than usual in each event.")
@measurement(("direct", "asgi"))
def stalled(measuring: Measuring, viewers: int, stalled: int, rate: float, padding: int) -> None:
    """Some viewers stop reading: p99 of the others, memory for each stalled one, seconds until it is let go of."""
    contests.run_stalled(measuring, Stall(viewers, stalled, rate, padding, undisturbed_s=10))


@click.command()
@click.option("--events", type=click.IntRange(1), default=500, help="How many, one at a time.")
@measurement(("direct", "asgi", "floor", "nchan", "quart"))
def latency(measuring: Measuring, events: int) -> None:
    """One event at a time to one viewer: from the publish call to the viewer."""
    contests.run_latency(measuring, events)


@click.command()
@click.option("--quick", is_flag=True, help="Few viewers, one round, no peers to install: whether it works at all.")
@turn_options
@file_options
def delivery(quick: bool, rounds: int, seed: int, file: Path | None, plot: Path | None) -> None:
    """All of these, under the conditions of the goals, and which goals are met."""
    plan = QUICK if quick else FULL
    measuring = Measuring(plan.servers, TRANSPORTS, 1 if quick else rounds, seed)
    measure_everything(measuring, plan)
    judged = judge(goals(plan.slow, plan.fast), measuring.rows)
    try:
        measuring.finish(file, plot, goals=judged)
    finally:
        show("Goals: figures of ours that are to be at most the limit", judged)


COMMANDS = (fanout, sparse, idle, storm, stalled, latency, delivery)
