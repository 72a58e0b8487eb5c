"""FastAPI with sse-starlette on uvicorn, a queue per viewer, as its manual shows it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import uvicorn
import uvloop
from fastapi import FastAPI
from line_protocol import Encoder, obey, options, tell, versions_of
from sse_starlette import EventSourceResponse, ServerSentEvent

Queue = asyncio.Queue[tuple[int, str]]


def make_app(queues: list[set[Queue]]) -> FastAPI:
    """The endpoint."""
    app = FastAPI()

    @app.get("/sse/{run}")
    async def stream(run: int) -> EventSourceResponse:
        queue: Queue = asyncio.Queue()
        queues[run].add(queue)

        async def events() -> AsyncIterator[ServerSentEvent]:
            try:
                while True:
                    number, text = await queue.get()
                    yield ServerSentEvent(data=text, id=str(number))
            finally:
                queues[run].discard(queue)

        return EventSourceResponse(events())

    return app


async def main() -> None:
    """Serve until stdin ends."""
    runs: int = options()["runs"]
    queues: list[set[Queue]] = [set() for _ in range(runs)]
    encoder = Encoder(runs)

    def publish(run: int, content: str) -> None:
        event = encoder.encode(run, content)
        for queue in queues[run]:
            queue.put_nowait(event)

    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        config = uvicorn.Config(
            make_app(queues), loop="uvloop", http="httptools", log_level="warning", access_log=False
        )
        serving = asyncio.create_task(uvicorn.Server(config).serve([listener]))
        versions = versions_of("fastapi", "sse-starlette", "uvicorn", "httptools", "uvloop")
        tell(port=listener.getsockname()[1], versions=versions, runs=encoder.runs, heads=[0] * runs)
        await obey(publish)
        serving.cancel()


if __name__ == "__main__":
    uvloop.run(main())
