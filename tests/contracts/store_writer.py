"""A process to be killed: writes to eight runs at once, and says which they are. Arguments: implementation, place."""

from __future__ import annotations

import asyncio
import sys

from store_material import complete, open_project, running
from store_openers import OPENERS


async def write_for_ever(implementation: str, place: str) -> None:
    """Write until killed. Prints the run ids, then the head of the first run after each of its saves."""
    project = await open_project(await OPENERS[implementation](place))
    runs = [await project.accept() for _ in range(8)]
    for run in runs:
        print(run.id, flush=True)

    async def drive(run) -> None:
        for percent in range(1_000_000):
            await project.save(run, running(run, 0, percent % 100), running(run, 1), complete(run, 2, percent))
            if run is runs[0]:
                print(3 + 3 * (percent + 1), flush=True)

    await asyncio.gather(*map(drive, runs))


if __name__ == "__main__":
    asyncio.run(write_for_ever(sys.argv[1], sys.argv[2]))
