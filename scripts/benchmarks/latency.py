"""From commit to viewer: a real server in this process, a viewer in another, both on the same monotonic clock.

Run as a program it is that viewer: ``latency.py WS_URL TOKEN RUN_ID`` prints ``ready``, then when each event came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

import websockets
from live import GatedModel, LiveServer, live_server
from seeded import seed_run

EVENTS = 500
INTERVAL_S = 0.01


async def measure_latency(name: str, home: Path, database_url: str | None) -> dict[str, Any]:
    """p50 and p99 in milliseconds over `EVENTS` events, one every `INTERVAL_S` and the time its save takes."""
    async with live_server(home, GatedModel(), database_url=database_url) as server:
        committed, received = await _watch(server)
    times = [(received[number] - at) * 1000 for number, at in committed.items()]
    cuts = quantiles(times, n=100)
    return {"database": name, "events": len(times), "p50_ms": cuts[49], "p99_ms": cuts[98]}


async def _watch(server: LiveServer) -> tuple[dict[int, float], dict[int, float]]:
    run = await seed_run(server)
    command = [sys.executable, __file__, server.ws_url, server.token, run.id]
    viewer = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert viewer.stdout is not None
    await viewer.stdout.readline()
    committed: dict[int, float] = {}
    for number in range(EVENTS):
        saved = await run.save(run.running(f"event {number}"))
        committed[saved[0].id] = time.monotonic()
        run.publish(saved)
        await asyncio.sleep(INTERVAL_S)
    await run.finish()
    received = json.loads(await viewer.stdout.readline())
    await viewer.wait()
    return committed, {int(number): at for number, at in received.items()}


async def _view(url: str, token: str, run_id: str) -> None:
    received: dict[int, float] = {}
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(url, subprotocols=["runcast.v1"], additional_headers=headers) as connection:  # type: ignore[list-item]
        await connection.send(json.dumps({"op": "subscribe", "run_id": run_id}))
        async for message in connection:
            now = time.monotonic()
            frame = json.loads(message)
            if frame.get("op") == "subscribed":
                print("ready", flush=True)
            elif frame.get("op") == "finished":
                break
            elif "id" in frame:
                received[frame["id"]] = now
    print(json.dumps(received), flush=True)


if __name__ == "__main__":
    asyncio.run(_view(*sys.argv[1:]))
