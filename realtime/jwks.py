"""Public keys that another issuer publishes at a URL: fetched, cached, and fetched anew when they are rotated.

A key that is no longer published stops working when the cache ends. While the URL cannot be fetched, the keys last
seen go on working for a time that is bounded, and nobody who has one waits for it. How often strangers' tokens can
make this server fetch is bounded, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

import httpx2
import structlog

from realtime.keys import MAX_BYTES, KeysError, PublicKey, matching, parse_jwk_set
from realtime.ports import RefusedError

_log = structlog.get_logger(__name__)

CACHE_S = 600.0
"""So long keys are used without asking again."""
STALE_S = 3600.0
"""So long they are used while asking again fails."""
UNKNOWN_KEY_S = 30.0
"""A token with an unknown key id makes the server ask again at most so often."""
RETRY_S = 5.0
"""After a failure."""
TIMEOUT_S = 5.0
"""For a whole fetch, however the answer trickles in."""


class KeysUnavailableError(RefusedError):
    """Whether a token is valid cannot be known now; asked again a little later, it may be."""

    def __init__(self) -> None:
        super().__init__(
            503, "UNAVAILABLE", "The keys that check this token cannot be fetched right now.", retry_after_s=RETRY_S
        )


class PublishedKeys:
    """`realtime.keys.Keys` at ``url``. ``clock`` counts seconds.

    Raises:
        KeysError: the URL is not one of https, or of http on this machine.

    """

    def __init__(
        self, url: str, *, clock: Callable[[], float] = time.monotonic, timeout_s: float = TIMEOUT_S
    ) -> None:
        _check_url(url)
        self._url = url
        self._clock = clock
        self._timeout_s = timeout_s
        self._keys: list[PublicKey] = []
        self._fetched_at = self._tried_at = float("-inf")
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, kid: str | None) -> Sequence[PublicKey]:
        """The keys that fit, from the cache where that will do. Waiting may be cancelled; the fetch goes on.

        Raises:
            KeysUnavailableError: there is none, and the URL could not be fetched.

        """
        known = self._matching(algorithm, kid)
        if not known or self._age >= CACHE_S:
            fetching = self._fetch_if_due()
            if fetching is not None and not (known and self._failed):
                await asyncio.shield(fetching)
                known = self._matching(algorithm, kid)
        if not known and self._failed:
            raise KeysUnavailableError
        return known

    @property
    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _matching(self, algorithm: str, kid: str | None) -> list[PublicKey]:
        return matching(self._keys, algorithm, kid) if self._age < STALE_S else []

    def _fetch_if_due(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, else a new one; None: it is too early for that."""
        pause_s = RETRY_S if self._failed else UNKNOWN_KEY_S
        if self._fetching is None and self._clock() - self._tried_at >= pause_s:
            self._tried_at = self._clock()
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            self._keys = parse_jwk_set(await self._download())
            self._fetched_at = self._clock()
            self._failed = False
        except (httpx2.HTTPError, TimeoutError, OSError, KeysError) as error:
            self._failed = True
            _log.warning("the keys of tokens could not be fetched", reason=str(error) or type(error).__name__)
        finally:
            self._fetching = None

    async def _download(self) -> bytes:
        """The answer's body as it was sent: neither redirected nor unpacked, so that its size is what is counted."""
        headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
        content = b""
        async with (
            asyncio.timeout(self._timeout_s),
            httpx2.AsyncClient(headers=headers, timeout=self._timeout_s, follow_redirects=False) as client,
            client.stream("GET", self._url) as answer,
        ):
            if answer.status_code != httpx2.codes.OK:
                raise KeysError(f"the answer's status was {answer.status_code}; expected 200")
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise KeysError(f"the answer has more than {MAX_BYTES} bytes")
        return content


def _check_url(url: str) -> None:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL()
    safe = parsed.scheme == "https" or (parsed.scheme == "http" and _is_this_machine(parsed.host))
    if not (safe and parsed.host and not parsed.userinfo):
        raise KeysError("expected a URL of https, or of http on this machine, without user and password")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
