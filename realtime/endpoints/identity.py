"""Who a WebSocket connection speaks for: said at the handshake or by its first frame, renewed, for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from realtime.clock import rfc3339
from realtime.endpoints.backend import Backend
from realtime.frames import CloseCode, ErrorCode, Expiring, Ref, Welcome
from realtime.protocol import ProtocolError
from realtime.tokens import InvalidTokenError, Principal

WARNING_S = 60.0
"""So long before a token expires its viewer is told; of one that lives shorter, when half of that is over."""


class Identity:
    """The identity of one connection. ``fail`` ends the connection with an error; ``send`` takes a control frame."""

    def __init__(self, backend: Backend, send: Callable[[str], None], fail: Callable[[ProtocolError], None]) -> None:
        self.principal: Principal | None = None
        self._backend = backend
        self._send = send
        self._fail = fail
        self._timers: list[asyncio.TimerHandle] = []

    def expect(self) -> None:
        """Wait for a token, but not for long."""
        missing = _not_authenticated("no identity came in time")
        self._set_timers((self._backend.settings.identify_timeout_s, lambda: self._fail(missing)))

    async def take(self, token: str, ref: Ref = None) -> None:
        """Speak for whom the token says, until it expires, and welcome them; the same person may come again.

        Raises:
            ProtocolError: the token says nobody, or somebody else than before; the connection ends with it.

        """
        try:
            principal = await self._backend.tokens.read(token)
        except InvalidTokenError as error:
            raise _not_authenticated(str(error), ref) from None
        before = self.principal
        if before is not None and (before.tenant, before.user_id) != (principal.tenant, principal.user_id):
            raise ProtocolError(
                ErrorCode.FORBIDDEN, "a connection cannot change its user", ref=ref, close=CloseCode.FORBIDDEN
            )
        self.principal = principal
        self._end_in(principal.expires_at - time.time())
        welcome = Welcome(
            heartbeat_s=self._backend.settings.heartbeat_s,
            limits=self._backend.limits,
            server_time=rfc3339(),
            ref=ref,
        )
        self._send(welcome.encode())

    def close(self) -> None:
        """Warn and fail no more."""
        self._set_timers()

    def _end_in(self, seconds: float) -> None:
        warning_s = min(WARNING_S, max(0.0, seconds) / 2)
        warning = Expiring(expires_in_ms=int(warning_s * 1000)).encode()
        expired = _not_authenticated("The token has expired.")
        self._set_timers(
            (seconds - warning_s, lambda: self._send(warning)),
            (seconds, lambda: self._fail(expired)),
        )

    def _set_timers(self, *due: tuple[float, Callable[[], None]]) -> None:
        for timer in self._timers:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(max(0.0, in_s), call) for in_s, call in due]


def _not_authenticated(message: str, ref: Ref = None) -> ProtocolError:
    return ProtocolError(ErrorCode.NOT_AUTHENTICATED, message, ref=ref, close=CloseCode.NOT_AUTHENTICATED)
