"""A TCP proxy between browser and server that can cut, stall and refuse: the network, in the tests' hands."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable


class Proxy:
    """Forwards ``127.0.0.1:port`` to a server's port, in a thread of its own; called from the test's thread."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._refused: bytes | None = None
        self._answer = b""
        self._flowing: asyncio.Event
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        self.port: int = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    @property
    def url(self) -> str:
        """The address for the browser."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break every connection now, and each new one, until `heal`."""
        self.refuse(b"")
        self.break_all()

    def break_all(self) -> None:
        """Break every connection now; new ones are as before."""
        self._call(self._break_all)

    def refuse(self, beginning: bytes, answer: bytes = b"") -> None:
        """Break each new connection whose first bytes are ``beginning``, after that answer, until `heal`."""
        self._call(lambda: (setattr(self, "_refused", beginning), setattr(self, "_answer", answer)))

    def stall(self) -> None:
        """Connections stay, nothing moves, until `heal`."""
        self._call(self._flowing.clear)

    def heal(self) -> None:
        """Everything passes again."""
        self._call(lambda: (setattr(self, "_refused", None), self._flowing.set()))

    def close(self) -> None:
        """Break everything and end."""

        async def end() -> None:
            self._server.close()
            self._flowing.set()
            self._break_all()
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, act: Callable[[], object]) -> None:
        async def run() -> None:
            act()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _listen(self) -> int:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def _break_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        upstream = None
        try:
            first = await reader.read(65536)
            if not first or (self._refused is not None and first.startswith(self._refused)):
                writer.write(self._answer)
                return
            up_reader, upstream = await asyncio.open_connection("127.0.0.1", self._server_port)
            self._writers.add(upstream)
            upstream.write(first)
            await asyncio.gather(self._pump(reader, upstream), self._pump(up_reader, writer))
        except OSError:
            pass
        finally:
            for end in filter(None, (writer, upstream)):
                self._writers.discard(end)
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
