"""Who publishes: the server itself on a command, or this process with POST requests, where there is no other way."""

from __future__ import annotations

import re
import socket
import time
from typing import NamedTuple, Protocol

from servers.line_protocol import Encoder, payload

from delivery.reactor import Reactor
from delivery.server_process import ServerProcess

ACCEPTED = re.compile(rb"HTTP/1\.1 20[12]")


class Load(NamedTuple):
    """``rate`` events a second into each of ``runs`` runs for ``seconds``."""

    runs: int
    rate: float
    seconds: float
    padding: int = 0
    """So many bytes more than usual in every event."""

    @property
    def events(self) -> int:
        """How many each run gets: at least one."""
        return max(1, round(self.rate * self.seconds))

    @property
    def command(self) -> dict[str, float]:
        """What a server is told."""
        return {"runs": self.runs, "rate": self.rate, "events": self.events, "padding": self.padding}


class Publishing(Protocol):
    """Publishing that goes on while viewers are served."""

    @property
    def done(self) -> bool:
        """True once everything has been published, and the server said so."""
        ...

    def tick(self) -> float:
        """Publish what is due; seconds until more is."""
        ...


class ByCommand:
    """The server publishes inside of its process."""

    def __init__(self, server: ServerProcess, load: Load) -> None:
        self._server = server
        server.tell(publish=load.command)

    @property
    def done(self) -> bool:
        """See `Publishing`."""
        return self._server.said

    def tick(self) -> float:
        """See `Publishing`."""
        return 1.0


class HttpConnection:
    """One kept-alive connection to which events are posted, and the ids they have."""

    def __init__(self, reactor: Reactor, port: int, runs: int) -> None:
        self.accepted = 0
        self._encoder = Encoder(runs)
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = b""
        self._reactor = reactor
        self._head = f"HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length:"
        reactor.watch(self._socket.fileno(), self._read)

    def post(self, run: int, content: str) -> None:
        """Publish; the answer is counted when it comes."""
        _, text = self._encoder.encode(run, content)
        self._socket.sendall(f"POST /publish/{run} {self._head} {len(text)}\r\n\r\n{text}".encode())

    def close(self) -> None:
        """Let go of it."""
        self._reactor.forget(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server ended the connection that is published over")
        read = 0
        self._answers += data
        for answer in ACCEPTED.finditer(self._answers):
            self.accepted += 1
            read = answer.end()
        self._answers = self._answers[read:]


class ByPost:
    """This process publishes by deadlines, as the servers do; what is late follows at once."""

    def __init__(self, connection: HttpConnection, load: Load) -> None:
        self._connection = connection
        self._load = load
        self._total = load.runs * load.events
        self._posted = 0
        self._accepted_before = connection.accepted
        self._started = time.monotonic()

    @property
    def done(self) -> bool:
        """See `Publishing`."""
        return self._connection.accepted - self._accepted_before == self._total

    def tick(self) -> float:
        """See `Publishing`."""
        load = self._load
        while self._posted < self._total:
            wait_s = self._started + self._posted / (load.runs * load.rate) - time.monotonic()
            if wait_s > 0:
                return wait_s
            self._connection.post(self._posted % load.runs, payload(self._posted, load.padding))
            self._posted += 1
        return 1.0
