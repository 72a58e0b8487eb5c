"""One viewer: a plain socket that connects, asks, and from then on compares what it gets with its run's reference."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable
from time import monotonic_ns
from typing import NamedTuple

from delivery.follower import READ_BYTES, Follower, Tally
from delivery.reactor import Reactor
from delivery.reference import Reference
from delivery.wire import CLOSE, PING, PONG, TEXT, Dechunker, Message, masked_frame, next_block, next_frame

RESET_ON_CLOSE = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
"""SO_LINGER: no TIME_WAIT is left behind, so that many rounds find free ports."""

ENGINE_IO_PING, ENGINE_IO_PONG = b"2", b"3"


class ViewerError(Exception):
    """A viewer was refused or let go of; the text says what came instead of what was expected."""


class Opening(NamedTuple):
    """What a viewer says until it watches its run."""

    request: bytes
    says: bytes | None = None
    """The text message that follows the handshake."""
    hears: tuple[tuple[bytes, bytes | None], ...] = ()
    """Messages, by what they contain, that must come in turn, each with what is said to it. After the last one the
    viewer watches."""


class Viewer:
    """A viewer of the run of ``reference``. It connects when `begin` is called."""

    def __init__(self, port: int, opening: Opening, reference: Reference, tally: Tally) -> None:
        self.began_ns = self.ready_ns = 0
        self._port = port
        self._opening = opening
        self._tally = tally
        self._received = b""
        self._heard = 0
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self.stream = self._follower(reference, None)
        """What it watches, once it does."""

    @property
    def local_port(self) -> int:
        """The port of its own end."""
        return int(self._socket.getsockname()[1])

    def begin(self, reactor: Reactor, receive_buffer: int | None = None) -> None:
        """Start to connect; everything else happens as the reactor sees it."""
        self._reactor = reactor
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.began_ns = monotonic_ns()
        code = self._socket.connect_ex(("127.0.0.1", self._port))
        if code not in {0, errno.EINPROGRESS}:
            raise ViewerError(f"cannot connect: {os.strerror(code)}")
        reactor.watch(self._socket.fileno(), self._connected, select.EPOLLOUT)

    def stall(self) -> None:
        """Read no more."""
        self._reactor.forget(self._socket.fileno())

    def close(self) -> None:
        """Let go of the connection at once. Closing twice is closing once."""
        if self._socket.fileno() >= 0:
            self._reactor.forget(self._socket.fileno())
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._socket.close()

    def _connected(self) -> None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise ViewerError(f"cannot connect: {os.strerror(code)}")
        self._socket.send(self._opening.request)
        self._reactor.change(self._socket.fileno(), self._read_head, select.EPOLLIN)

    def _read_head(self) -> None:
        self._received += self._receive()
        head, blank, rest = self._received.partition(b"\r\n\r\n")
        if not blank:
            return
        status = head.split(b"\r\n", 1)[0]
        if b" 101 " not in status and b" 200 " not in status:
            raise ViewerError(f"expected 101 or 200, got {self._received[:300]!r}")
        self._received = b""
        if b"transfer-encoding: chunked" in head.lower():
            reference = self.stream.reference
            self.stream = self._follower(reference, Dechunker(reference.stripped).strip)
        if self._opening.says is not None:
            self._say(TEXT, self._opening.says)
        self._reactor.change(self._socket.fileno(), self._read_answers, select.EPOLLIN)
        self._take_answers(rest)

    def _read_answers(self) -> None:
        self._take_answers(self._receive())

    def _take_answers(self, data: bytes) -> None:
        """Read message after message until the last that must come; what follows is the run's stream."""
        self._received += data
        while self._heard < len(self._opening.hears):
            message = next_frame(self._received, 0)
            if message is None:
                return
            self._received = self._received[message.end :]
            expected, answer = self._opening.hears[self._heard]
            if expected in message.body:
                self._heard += 1
                if answer is not None:
                    self._say(TEXT, answer)
            elif b'"op":"error"' in message.body or message.opcode == CLOSE:
                raise ViewerError(f"expected {expected!r}, got {message.body!r}")
        self.ready_ns = monotonic_ns()
        self._tally.ready += 1
        self._reactor.change(self._socket.fileno(), self.stream.read, select.EPOLLIN)
        rest, self._received = self._received, b""
        if rest:
            self.stream.take(rest)

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except ConnectionError:
            data = b""
        if not data:
            raise ViewerError(f"the server ended the connection; {self._received[:300]!r} had come")
        return data

    def _follower(self, reference: Reference, strip: Callable[[bytes], bytes] | None) -> Follower:
        # what a viewer that is let go of did not get counts as lost
        return Follower(reference, self._tally, self._socket.recv, strip=strip, answer=self._answer, gone=self.close)

    def _answer(self, message: Message) -> None:
        """Give a sign of life where one was asked for."""
        if message.opcode == PING:
            self._say(PONG, message.body)
        elif message.body == ENGINE_IO_PING:
            self._say(TEXT, ENGINE_IO_PONG)

    def _say(self, opcode: int, body: bytes) -> None:
        self._socket.send(masked_frame(opcode, body))


def reference_for(transport: str) -> Reference:
    """An empty reference for one run over ``ws`` or ``sse``."""
    return Reference(next_frame if transport == "ws" else next_block)
