"""Quart on Hypercorn with a queue per viewer: what one would write first."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config
from line_protocol import Encoder, obey, options, sse_event, tell, versions_of
from quart import Quart, Response, websocket

Queue = asyncio.Queue[tuple[int, str]]


class Viewers:
    """A queue for each viewer of each run."""

    def __init__(self, runs: int) -> None:
        self._queues: list[set[Queue]] = [set() for _ in range(runs)]

    @contextlib.contextmanager
    def viewer(self, run: int) -> Iterator[Queue]:
        """The queue of one more viewer."""
        queue: Queue = asyncio.Queue()
        self._queues[run].add(queue)
        try:
            yield queue
        finally:
            self._queues[run].discard(queue)

    def put(self, run: int, event: tuple[int, str]) -> None:
        """Queue an event for every viewer of the run."""
        for queue in self._queues[run]:
            queue.put_nowait(event)


def make_app(viewers: Viewers) -> Quart:
    """Both endpoints."""
    app = Quart(__name__)

    @app.websocket("/ws/<int:run>")
    async def watch(run: int) -> None:
        with viewers.viewer(run) as queue:
            await websocket.accept()
            while True:
                _, text = await queue.get()
                await websocket.send(text)

    @app.get("/sse/<int:run>")
    async def stream(run: int) -> Response:
        stack = contextlib.ExitStack()
        queue = stack.enter_context(viewers.viewer(run))

        async def events() -> AsyncIterator[bytes]:
            with stack:
                while True:
                    yield sse_event(*await queue.get()).encode()

        response = Response(events(), content_type="text/event-stream")
        response.timeout = None
        return response

    return app


async def main() -> None:
    """Serve until stdin ends."""
    runs: int = options()["runs"]
    viewers, encoder = Viewers(runs), Encoder(runs)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        config = Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.accesslog = None
        config.backlog = 2048
        config.graceful_timeout = 0
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(make_app(viewers), config, shutdown_trigger=stop.wait))
        tell(
            port=listener.getsockname()[1],
            versions=versions_of("quart", "hypercorn", "uvloop"),
            runs=encoder.runs,
            heads=[0] * runs,
        )
        await obey(lambda run, content: viewers.put(run, encoder.encode(run, content)))
        stop.set()
        serving.cancel()


if __name__ == "__main__":
    uvloop.run(main())
