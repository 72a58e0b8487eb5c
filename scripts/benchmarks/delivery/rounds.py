"""Rounds in which contestants take turns, and the medians of what they measured."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console

from delivery.catalogue import Server
from delivery.server_process import ServerError

Row = dict[str, Any]

SUMS = frozenset({"lost", "repeated"})
"""Figures of which every round counts."""
COUNTS = frozenset({"deliveries", "let_go"})
"""Figures of which the lowest counts: they should be the same in every round."""

console = Console(stderr=True)


class Contestant(NamedTuple):
    """A server over a transport, and how one round of it is measured: figures, and ``versions``."""

    server: Server
    transport: str
    measure: Callable[[Server, str], Row]
    marks: Mapping[str, object]
    """What stands in its row beside the figures."""


class Rounds:
    """Takes contestants through their rounds, and keeps what became of them."""

    def __init__(self, rounds: int, seed: int) -> None:
        self.failures: list[str] = []
        """What every contestant that failed said; it is left out of the rows."""
        self.versions: dict[str, Any] = {}
        self._rounds = rounds
        self._random = random.Random(seed)

    def run(self, work: str, contestants: Sequence[Contestant]) -> list[Row]:
        """A row for each contestant, in the order given: the median of each figure over all rounds.

        Every round starts a fresh process of each server; their order is drawn by the seed and turns from round to
        round.
        """
        order = self._random.sample(range(len(contestants)), len(contestants))
        results: dict[int, list[Row]] = {index: [] for index in order}
        for number in range(self._rounds):
            turn = number % len(order) if order else 0
            for index in order[turn:] + order[:turn]:
                if index not in results:
                    continue
                contestant = contestants[index]
                row = self._take_turn(f"{work} {number + 1}/{self._rounds}", contestant)
                if row is None:
                    del results[index]
                else:
                    self.versions[contestant.server.name] = row.pop("versions")
                    results[index].append(row)
        return [_row(work, contestants[index], results[index]) for index in sorted(results)]

    def _take_turn(self, title: str, contestant: Contestant) -> Row | None:
        """One round's figures; None: it failed, which has been told."""
        server, transport = contestant.server, contestant.transport
        named = " ".join([title, server.name, transport, *map(str, contestant.marks.values())])
        console.print(named, style="dim", markup=False, highlight=False)
        try:
            return contestant.measure(server, transport)
        except ServerError as error:
            self.failures.append(str(error))
            console.print(f"{server.name} {transport} is left out: {error}", style="red", markup=False)
            return None


def _row(work: str, contestant: Contestant, rows: Sequence[Row]) -> Row:
    figures = {name: _joined(name, [row[name] for row in rows]) for name in rows[0]}
    names = {"work": work, "server": contestant.server.name, "transport": contestant.transport}
    return {**names, **contestant.marks, **figures}


def _joined(name: str, values: Sequence[float]) -> float:
    if name in SUMS:
        return sum(values)
    return min(values) if name in COUNTS else median(values)
