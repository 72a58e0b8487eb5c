"""Who a WebSocket connection speaks for: said at the handshake or by its first frame, renewed, for a time.

Until that is known the connection counts for its address, then for the user.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from realtime.clock import rfc3339
from realtime.endpoints.backend import Backend
from realtime.frames import CloseCode, ErrorCode, Expiring, Ref, Welcome
from realtime.metrics import FailureReason
from realtime.ports import RefusedError
from realtime.protocol import ProtocolError
from realtime.quotas import TooManyError
from realtime.tokens import InvalidTokenError, Principal

WARNING_S = 60.0
"""So long before a token expires its viewer is told; of one that lives shorter, when half of that is over."""


class Identity:
    """The identity of one connection from ``address``.

    ``fail`` ends the connection with an error; ``send`` takes a control frame.
    """

    def __init__(
        self, backend: Backend, address: str, send: Callable[[str], None], fail: Callable[[ProtocolError], None]
    ) -> None:
        self.principal: Principal | None = None
        self._backend = backend
        self._address = address
        self._give_back: Callable[[], None] = lambda: None
        self._send = send
        self._fail = fail
        self._timer: asyncio.TimerHandle | None = None

    def expect(self) -> None:
        """Wait for a token, but not for long.

        Raises:
            ProtocolError: too many others of the same address wait as well.

        """
        try:
            self._give_back = self._backend.quotas.approach(self._address)
        except TooManyError as error:
            raise too_many(error) from None
        self._set_timer(self._backend.settings.identify_timeout_s, self._miss)

    async def take(self, token: str, ref: Ref = None) -> None:
        """Speak for whom the token says, until it expires, and welcome them; the same person may come again.

        Who comes again with the same expiry is not warned of it again.

        Raises:
            ProtocolError: the token says nobody, or somebody else than before, or somebody who has too many
                connections; the connection ends with it.

        """
        principal = await self._read(token, ref)
        before = self.principal
        if before is not None and (before.tenant, before.user_id) != (principal.tenant, principal.user_id):
            raise ProtocolError(
                ErrorCode.FORBIDDEN, "a connection cannot change its user", ref=ref, close=CloseCode.FORBIDDEN
            )
        if before is None:
            self._take_place(principal, ref)
        self.principal = principal
        if before is None or before.expires_at != principal.expires_at:
            self._end_in(principal.expires_at - time.time())
        welcome = Welcome(
            heartbeat_s=self._backend.settings.heartbeat_s,
            limits=self._backend.limits,
            server_time=rfc3339(),
            ref=ref,
        )
        self._send(welcome.encode())

    def close(self) -> None:
        """Warn and fail no more, and count no more. Idempotent."""
        self._stop_timer()
        self._give_back()

    async def _read(self, token: str, ref: Ref) -> Principal:
        try:
            return await self._backend.tokens.read(token)
        except InvalidTokenError as error:
            self._backend.metrics.authentication_failed(FailureReason.INVALID)
            raise self._count_failure(_not_authenticated(str(error), ref)) from None
        except RefusedError as error:
            raise ProtocolError(ErrorCode.INTERNAL, error.message, ref=ref, close=CloseCode.INTERNAL) from None

    def _take_place(self, principal: Principal, ref: Ref) -> None:
        try:
            place = self._backend.quotas.connect(principal)
        except TooManyError as error:
            raise too_many(error, ref) from None
        self._give_back()
        self._give_back = place

    def _miss(self) -> None:
        self._backend.metrics.authentication_failed(FailureReason.MISSING)
        self._fail(self._count_failure(_not_authenticated("no identity came in time")))

    def _count_failure(self, error: ProtocolError) -> ProtocolError:
        """``error``, or what to say instead where the address fails too often."""
        try:
            self._backend.quotas.fail(self._address, time.monotonic())
        except TooManyError as refusal:
            return too_many(refusal, error.ref)
        return error

    def _end_in(self, seconds: float) -> None:
        warning_s = min(WARNING_S, max(0.0, seconds) / 2)
        self._set_timer(seconds - warning_s, self._warn, warning_s)

    def _warn(self, left_s: float) -> None:
        self._send(Expiring(expires_in_ms=int(left_s * 1000)).encode())
        self._set_timer(left_s, self._expire)

    def _expire(self) -> None:
        self._fail(_not_authenticated("The token has expired."))

    def _set_timer(self, in_s: float, call: Callable[..., None], *args: float) -> None:
        """Have one thing happen, in place of what else was to."""
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, in_s), call, *args)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def too_many(
    error: TooManyError, ref: Ref = None, run_id: str | None = None, project_id: str | None = None
) -> ProtocolError:
    """What ends a connection for a quota."""
    return ProtocolError(
        ErrorCode.TOO_MANY, error.message, ref=ref, run_id=run_id, project_id=project_id, close=CloseCode.TOO_MANY
    )


def _not_authenticated(message: str, ref: Ref = None) -> ProtocolError:
    return ProtocolError(ErrorCode.NOT_AUTHENTICATED, message, ref=ref, close=CloseCode.NOT_AUTHENTICATED)
