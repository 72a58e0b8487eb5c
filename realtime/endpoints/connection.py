"""The life of one WebSocket connection: its reader, its outlet, its timers, who it speaks for, and how it ends.

Timers live apart from what sends, so that a send that blocks freezes none of them.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from quart import Websocket

from realtime.asgi_outlet import AsgiOutlet
from realtime.endpoints.backend import Backend
from realtime.endpoints.commands import RunCommands
from realtime.endpoints.failures import address_of
from realtime.endpoints.identity import Identity, too_many
from realtime.endpoints.outlets import PING, socket_outlet
from realtime.endpoints.project_watch import ProjectCommands
from realtime.events import HEARTBEAT_TEXT
from realtime.frames import (
    Ack,
    Authenticate,
    CloseCode,
    Command,
    Draining,
    ErrorCode,
    Ping,
    Pong,
    ProjectCommand,
    Ref,
    RunCommand,
)
from realtime.metrics import Transport
from realtime.peer import Peer
from realtime.protocol import ProtocolError, Session, error_frame
from realtime.quotas import TooManyError

_log = structlog.get_logger(__name__)

GOODBYE_S = 2.0
"""How long what was still to be sent may take at the end."""
DRAIN_RETRY_MS = 1000


class Connection:
    """One accepted WebSocket; ``token`` is what its handshake brought. `run` returns when it is closed."""

    def __init__(self, backend: Backend, websocket: Websocket, token: str | None) -> None:
        now = time.monotonic()
        self._backend = backend
        self._websocket = websocket
        self._token = token
        self._peer = Peer.of(websocket.scope)
        self._outlet = socket_outlet(websocket.scope)
        self._peer.call_when_closing(self._outlet.finish)
        self._session = Session(backend.limits, now)
        self._identity = Identity(backend, address_of(websocket), self._outlet.send, self._fail)
        self._commands = RunCommands(backend, self._outlet, self._break_off, lambda: len(self._projects))
        self._projects = ProjectCommands(backend, self._outlet, self._break_off, lambda: self._commands.live)
        self._code: CloseCode | None = None
        self._task: asyncio.Task[object] | None = None
        self._heard_at = now
        self._pinged_at = now
        self._beat_at = now
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve the connection until either side ends it; nothing of it is left behind then."""
        gone = self._backend.metrics.connected(Transport.WEBSOCKET)
        try:
            await self._run()
        finally:
            gone()

    async def _run(self) -> None:
        gone = self._backend.broadcaster.on_drain(self._drain)
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        writer = loop.create_task(self._write(self._outlet)) if isinstance(self._outlet, AsgiOutlet) else None
        if writer is not None:
            writer.add_done_callback(self._notice_failure)
        try:
            self._beat()
            await self._serve()
        except asyncio.CancelledError:
            if self._code is None or self._task is None:
                raise  # the client left
            self._task.uncancel()
        except Exception as error:
            self._give_up(error)
        finally:
            self._task = None
            self._backend.metrics.websocket_closed(self._code, cut=self._peer.aborted)
            ending = loop.create_task(self._finish(writer, self._code or CloseCode.NORMAL))
            ending.add_done_callback(lambda _: gone())
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                await ending  # the client left in the middle of the goodbye
                raise

    async def _finish(self, writer: asyncio.Task[None] | None, code: CloseCode) -> None:
        """Stop all work, keep what was acked, say goodbye."""
        self._session.closed()
        self._commands.close()
        self._projects.close()
        self._identity.close()
        if self._timer is not None:
            self._timer.cancel()
        await self._commands.save_acks()
        await self._say_goodbye(writer, code)

    def _end(self, code: CloseCode) -> None:
        """End the connection, in the middle of whatever it does; what calls this from within goes on to its end."""
        if self._code is None:
            self._code = code
            if self._task is not None and self._task is not asyncio.current_task():
                self._task.cancel()

    def _fail(self, error: ProtocolError) -> None:
        """Send the error; end the connection where it is fatal."""
        self._backend.metrics.frame_refused(error.code)
        try:
            self._outlet.send(error_frame(error).encode())
        finally:
            if error.close is not None:
                self._end(error.close)

    def _notice_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        _log.error("a connection failed", exc_info=error)
        self._end(CloseCode.INTERNAL)

    async def _say_goodbye(self, writer: asyncio.Task[None] | None, code: CloseCode) -> None:
        """Send what is still due, then close; a peer that takes neither is cut off."""
        self._outlet.finish()
        try:
            async with asyncio.timeout(GOODBYE_S):
                if writer is not None:
                    await asyncio.gather(writer, return_exceptions=True)
                await self._websocket.close(code, code.name.lower().replace("_", " "))
        except TimeoutError:
            self._peer.abort()
        finally:
            if writer is not None:
                writer.cancel()

    async def _write(self, outlet: AsgiOutlet[str]) -> None:
        async for message in outlet:
            if message == PING:
                await self._peer.ping()
            else:
                await self._websocket.send(message)

    async def _serve(self) -> None:
        """Find out who it is, then obey frame after frame."""
        await self._identify_first()
        while self._code is None:
            await self._outlet.wait_ready()
            frame = await self._websocket.receive()
            try:
                await self._obey(self._read(frame))
            except ProtocolError as error:
                self._fail(error)

    def _read(self, frame: str | bytes) -> Command:
        """The command in ``frame``. All but acks count for the user, those that are none as well."""
        now = self._heard_at = time.monotonic()
        command: Command | None = None
        try:
            command = self._session.receive(frame, now)
        finally:
            if not isinstance(command, Ack):
                self._count_frame(now)
        return command

    def _count_frame(self, now: float) -> None:
        if self._identity.principal is None:
            return
        try:
            self._backend.quotas.frame(self._identity.principal, now)
        except TooManyError as error:
            raise too_many(error) from None

    async def _obey(self, command: Command) -> None:
        try:
            await self._carry_out(command)
        except ProtocolError:
            raise
        except Exception:
            _log.exception("a command failed")
            run_id = str(command.run_id) if isinstance(command, RunCommand) else None
            project_id = str(command.project_id) if isinstance(command, ProjectCommand) else None
            self._break_off(run_id, project_id, command.ref)

    def _break_off(self, run_id: str | None = None, project_id: str | None = None, ref: Ref = None) -> None:
        """The server failed at something: whoever reconnects gets everything from its cursor."""
        code, close = ErrorCode.INTERNAL, CloseCode.INTERNAL
        message = "The server failed."
        self._fail(ProtocolError(code, message, ref=ref, run_id=run_id, project_id=project_id, close=close))

    async def _carry_out(self, command: Command) -> None:
        if isinstance(command, Authenticate):
            await self._authenticate(command.token, command.ref)
        elif isinstance(command, Ping):
            self._outlet.send(Pong(ref=command.ref).encode())
        elif principal := self._identity.principal:
            if isinstance(command, ProjectCommand):
                await self._projects.obey(command, principal)
            else:
                await self._commands.obey(command, principal)

    async def _identify_first(self) -> None:
        """Take the identity of the handshake; without one, wait for ``authenticate`` as the first frame."""
        try:
            self._identity.expect()
            if self._token is not None:
                await self._authenticate(self._token)
        except ProtocolError as error:
            self._fail(error)

    async def _authenticate(self, token: str, ref: Ref = None) -> None:
        await self._identity.take(token, ref)
        self._session.identified()

    def _beat(self) -> None:
        """Break our silence with heartbeats and the peer's with pings; let go of one that stays silent or stuck."""
        settings = self._backend.settings
        now = time.monotonic()
        heard_at = max(self._heard_at, self._peer.heard_at)
        stalled_since = self._outlet.stalled_since
        stuck_at = (stalled_since or now) + settings.stuck_timeout_s
        gone_at = heard_at + settings.idle_timeout_s if self._peer.known else float("inf")
        if self._outlet.overflowed or now >= min(stuck_at, gone_at):
            self._peer.abort()
            self._end(CloseCode.TOO_SLOW)
            return
        beat_at = max(self._outlet.sent_at, self._beat_at) + settings.heartbeat_s
        ping_at = max(heard_at, self._pinged_at) + settings.heartbeat_s
        if now >= beat_at:
            if stalled_since is None:
                self._outlet.send(HEARTBEAT_TEXT)
            beat_at = self._beat_at = now
        elif now >= ping_at:
            self._outlet.send(PING)
            ping_at = self._pinged_at = now
        wait = min(stuck_at, gone_at, beat_at, ping_at) - now
        self._timer = asyncio.get_running_loop().call_later(wait, self._beat)

    def _drain(self) -> None:
        self._outlet.send(Draining(retry_after_ms=DRAIN_RETRY_MS).encode())
        self._end(CloseCode.RESTARTING)
