"""What every server program of these benchmarks speaks: JSON lines, out on stdout, in on stdin.

A program is started with its options as JSON in its one argument. It prints one line when it listens:
``{"port": …, "versions": {…}, "runs": [ids], "heads": [newest event id of each]}``. It then obeys
``{"publish": {"runs": N, "rate": R, "events": E, "padding": B}}``: R events a second into each of the first N runs, E
in each, and prints ``{"published": n}``. When stdin ends, so does the program.

Only the standard library: servers run in environments of their own.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

STEP_ID = "5d0c7f0e-3f3b-4f0e-9a51-0c5f1f1f7a11"
AT = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

Publish = Callable[[int, str], None]
"""Publish a payload, JSON text, to the viewers of the run with this index; called in the server's event loop."""


def options() -> dict[str, Any]:
    """What the program was started with."""
    return dict(json.loads(sys.argv[1]))


def tell(**line: object) -> None:
    """Print one line."""
    print(json.dumps(line), flush=True)


def versions_of(*distributions: str) -> dict[str, str]:
    """The versions of these distributions and of Python."""
    return {"python": ".".join(map(str, sys.version_info[:3])), **{name: version(name) for name in distributions}}


def run_ids(count: int) -> list[str]:
    """So many run ids, the same ones in every process."""
    return [f"00000000-0000-4000-8000-{number:012d}" for number in range(count)]


def payload(number: int, padding: int) -> str:
    """The payload of a ``running`` event that is published now, with so many bytes more than usual."""
    label = f"Reading docs/requirements.md ({number % 40} of 40){'.' * padding}"
    return (
        f'{{"at":"{AT}","step_id":"{STEP_ID}","agent_type":"ba_consultant","progress_pct":{number % 100},'
        f'"progress_label":"{label}","attempt":1,"sent_ns":{time.monotonic_ns()}}}'
    )


class Encoder:
    """The events of runs as servers without a library for it send them; ids count 1, 2, 3 … per run."""

    def __init__(self, runs: int) -> None:
        self.runs = run_ids(runs)
        self._ids = [0] * runs

    def encode(self, run: int, content: str) -> tuple[int, str]:
        """The next event of the run: its id, and its JSON text."""
        self._ids[run] += 1
        number = self._ids[run]
        return number, f'{{"id":{number},"type":"running","run_id":"{self.runs[run]}","payload":{content}}}'


def sse_event(number: int, text: str) -> str:
    """An event on SSE."""
    return f"id: {number}\ndata: {text}\n\n"


async def obey(publish: Publish) -> None:
    """Carry out commands until stdin ends, which ends what is being carried out as well."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb", closefd=False)
    )
    try:
        coming = loop.create_task(reader.readline())
        while line := await coming:
            coming = loop.create_task(reader.readline())
            publishing = loop.create_task(_publish_steadily(publish, **json.loads(line)["publish"]))
            await asyncio.wait((publishing, coming), return_when=asyncio.FIRST_COMPLETED)
            if not publishing.done():
                publishing.cancel()
                break
            tell(published=publishing.result())
    finally:
        transport.close()


async def _publish_steadily(publish: Publish, runs: int, rate: float, events: int, padding: int) -> int:
    """Publish by deadlines, the runs in turn; what is late follows as soon as the loop has had a turn."""
    total = runs * events
    started = time.monotonic()
    for number in range(total):
        wait_s = started + number / (runs * rate) - time.monotonic()
        await asyncio.sleep(max(0.0, math.ceil(wait_s * 1000) / 1000))
        publish(number % runs, payload(number, padding))
    return total
