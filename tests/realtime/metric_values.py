"""What a server has counted, read as Prometheus reads it."""

from __future__ import annotations

import asyncio

from live import LiveServer
from prometheus_client.parser import text_string_to_metric_families


def values(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and the values of its labels, in the order of their names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def count(server: LiveServer, name: str, *labels: str) -> float:
    """The value of ``runcast_{name}`` with these labels, in the order of their names; 0: never counted."""
    return values(server.home.backend.metrics.render().decode()).get((f"runcast_{name}", labels), 0.0)


async def counted(server: LiveServer, value: float, name: str, *labels: str) -> None:
    """Return when the series has that value."""
    async with asyncio.timeout(20):
        while count(server, name, *labels) != value:
            await asyncio.sleep(0.01)


def labelled(server: LiveServer, name: str) -> dict[str, float]:
    """The values of ``runcast_{name}``, which has one label, by that."""
    found = values(server.home.backend.metrics.render().decode())
    return {labels[0]: value for (series, labels), value in found.items() if series == f"runcast_{name}"}
