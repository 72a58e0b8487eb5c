"""A call of a command of delivery: what it measures with, and what it leaves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from report import keep

from delivery.catalogue import CATALOGUE, PEER_PYTHON, Server
from delivery.peers import NotInstalledError, install_python, installed
from delivery.processes import generator_core, pin, raise_file_limit
from delivery.rounds import Contestant, Rounds, Row
from delivery.tables import show_rows

PLOT = Path(__file__).parent / "plot.py"
PLOT_S = 120


class Measuring:
    """The contestants of one call, and the rows so far. Servers that cannot be had are left out, which is told."""

    def __init__(self, names: Sequence[str], transports: Sequence[str], rounds: int, seed: int) -> None:
        self.rows: list[Row] = []
        self._servers = installed([CATALOGUE[name] for name in names])
        self._transports = transports
        self._rounds = Rounds(rounds, seed)
        self._seed = seed
        raise_file_limit()
        pin(generator_core())

    def contestants(
        self,
        measure: Callable[[Server, str], Row],
        names: Sequence[str],
        transports: Sequence[str],
        **marks: object,
    ) -> list[Contestant]:
        """Every server that was asked for and is among ``names``, over those of ``transports`` that it has."""
        return [
            Contestant(server, transport, measure, marks)
            for transport in self._transports
            for server in self._servers
            if transport in server.transports and transport in transports and server.name in names
        ]

    def run(self, work: str, contestants: Sequence[Contestant]) -> None:
        """Measure them, and keep their rows."""
        self.rows += self._rounds.run(work, contestants)

    def finish(self, file: Path | None, plot: Path | None, **parts: Any) -> None:
        """Print the tables; write ``parts``, too, and draw, where that was asked for.

        Raises:
            SystemExit: a server failed; everything else has been told by then.

        """
        show_rows(self.rows)
        keep(file, seed=self._seed, versions=self._rounds.versions, rows=self.rows, **parts)
        if plot is not None:
            _draw(self.rows, plot)
        if self._rounds.failures:
            raise SystemExit(1)


def _draw(rows: Sequence[Row], file: Path) -> None:
    try:
        install_python()
        subprocess.run([PEER_PYTHON, PLOT, file], input=json.dumps(rows), text=True, check=True, timeout=PLOT_S)
    except (NotInstalledError, subprocess.SubprocessError) as error:
        raise click.ClickException(f"no plot was drawn: {error}") from error
