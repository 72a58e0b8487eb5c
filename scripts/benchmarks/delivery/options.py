"""Options that commands of delivery have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from delivery.catalogue import CATALOGUE, TRANSPORTS
from delivery.measuring import Measuring

Command = TypeVar("Command", bound=Callable[..., object])


def measurement(
    servers: Sequence[str], known: Sequence[str] = tuple(CATALOGUE)
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options of one kind of work; the function gets a `Measuring` in their place, which is finished after it."""

    def decorate(measure: Callable[..., None]) -> Callable[..., None]:
        @wraps(measure)
        def command(
            *,
            servers: Sequence[str],
            transports: Sequence[str],
            rounds: int,
            seed: int,
            file: Path | None,
            plot: Path | None,
            **own: Any,
        ) -> None:
            measuring = Measuring(servers, transports, rounds, seed)
            measure(measuring, **own)
            measuring.finish(file, plot)

        described = f"Contestants, with commas between; of {', '.join(known)}."
        chosen = _names("--servers", "servers", servers, known, described)
        over = _names("--transport", "transports", TRANSPORTS, TRANSPORTS, "Over ws, sse or both.")
        return chosen(over(turn_options(file_options(command))))

    return decorate


def _names(
    flag: str, name: str, default: Sequence[str], known: Sequence[str], described: str
) -> Callable[[Command], Command]:
    """An option that takes names out of ``known``, with commas between."""

    def parse(context: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
        for given in names:
            if given not in known:
                raise click.BadParameter(f"{given!r} is none of {', '.join(known)}", context, option)
        return names

    return click.option(flag, name, callback=parse, default=",".join(default), help=described)


def turn_options(command: Command) -> Command:
    """``--rounds`` and ``--seed``."""
    seeded = click.option("--seed", default=1, help="Draws the order of the contestants.")(command)
    return click.option("--rounds", type=click.IntRange(1), default=3, help="Of which the medians are told.")(seeded)


def file_options(command: Command) -> Command:
    """``--json`` and ``--plot``."""
    path = click.Path(path_type=Path, dir_okay=False)
    plotted = click.option("--plot", type=path, help="Draw the figures there, as SVG.")(command)
    return click.option("--json", "file", type=path, help="Write the figures there.")(plotted)
