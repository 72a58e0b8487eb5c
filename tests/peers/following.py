"""A run followed event by event, whoever reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from seeded import SeededRun

NextEvent = Callable[[], Awaitable[dict[str, Any] | None]]
"""Waits for a reader's next event, in the shape of the WebSocket; None: the stream ended."""

LABELS = ("Reading", "Größe, 見出し, 🎉", "x" * 61_000, "語" * 22_000, "Writing")
"""What the events say: small and beyond 60 KB, also where a character has several bytes."""
STEP_S = 30.0
"""Within so many seconds an event must have arrived; no more is published before."""
VIEW_S = 30.0
"""How long a viewer may be at it in one test."""


async def follow(run: SeededRun, next_event: NextEvent) -> list[dict[str, Any] | None]:
    """Read one event, publish one each time the one before has arrived, then the end; all that arrived.

    Whatever holds an event back until more come makes this fail.
    """
    arrived = [await _in_time(next_event)]
    for label in LABELS:
        await run.progress(label)
        arrived.append(await _in_time(next_event))
    await run.finish()
    arrived.append(await _in_time(next_event))
    return arrived


async def _in_time(next_event: NextEvent) -> dict[str, Any] | None:
    async with asyncio.timeout(STEP_S):
        return await next_event()


def parse_sse(block: bytes) -> dict[str, Any] | None:
    """The server-sent event of one block, in the shape of the WebSocket; None where it has no data."""
    fields = dict(line.split(": ", 1) for line in block.decode().strip("\n").split("\n"))
    if "data" not in fields:
        return None
    return {"id": int(fields["id"]), **json.loads(fields["data"])}
