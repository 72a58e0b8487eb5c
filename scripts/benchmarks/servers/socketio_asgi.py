"""python-socketio under ASGI on uvicorn, WebSocket transport only: one ``emit`` per event."""

from __future__ import annotations

import asyncio
import json
import socket

import socketio
import uvicorn
import uvloop
from line_protocol import Encoder, obey, options, tell, versions_of


async def main() -> None:
    """Serve until stdin ends."""
    runs: int = options()["runs"]
    encoder = Encoder(runs)
    server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])
    waiting: asyncio.Queue[object] = asyncio.Queue()

    def publish(run: int, content: str) -> None:
        _, text = encoder.encode(run, content)
        waiting.put_nowait(json.loads(text))

    async def emit() -> None:
        while True:
            await server.emit("event", await waiting.get())

    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        app = socketio.ASGIApp(server)
        config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", access_log=False)
        tasks = [asyncio.create_task(work) for work in (uvicorn.Server(config).serve([listener]), emit())]
        versions = versions_of("python-socketio", "uvicorn", "httptools", "websockets", "uvloop")
        tell(port=listener.getsockname()[1], versions=versions, runs=encoder.runs, heads=[0] * runs)
        await obey(publish)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    uvloop.run(main())
