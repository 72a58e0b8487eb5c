"""How much of something each tenant and each of its users may have at once, or may ask for in a second.

Nothing here waits or reads a clock: times are seconds of any one monotonic clock. A user is known by tenant and id,
never by id alone. What is refused changes nothing.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from enum import StrEnum

from realtime.ports import RefusedError
from realtime.settings import Settings
from realtime.tokens import Principal

BURST_S = 2.0
"""An allowance holds so many seconds' worth, but at least one."""
ROUNDING_S = 1e-6
"""What sums of floats may be off."""
RETRY_S = 5.0
"""When a place may be free again: nobody knows, and asking costs little."""
UNIDENTIFIED_CONNECTIONS = 4000
"""WebSockets of one address that have not said yet who they are; they have ``identify_timeout_s`` for that."""
SERVER_UPLOADS = 32
"""Requests with documents that the server reads at once, whoever sends them: each is in memory, whole."""


class Resource(StrEnum):
    """What there is a quota of."""

    CONNECTIONS = "connections"
    SUBSCRIPTIONS = "subscriptions"
    REQUESTS = "requests"
    FRAMES = "frames"
    RUNS = "runs"
    DOCUMENT_BYTES = "document_bytes"
    UPLOADS = "uploads"
    UNIDENTIFIED_CONNECTIONS = "unidentified_connections"
    AUTHENTICATION_FAILURES = "authentication_failures"


class Scope(StrEnum):
    """Whose quota it is."""

    TENANT = "tenant"
    USER = "user"
    ADDRESS = "address"
    SERVER = "server"


class TooManyError(RefusedError):
    """A quota is used up: of what, whose, and how much it is. ``retry_after_s`` says when to come back."""

    def __init__(self, resource: Resource, scope: Scope, limit: float, per: str, retry_after_s: float) -> None:
        of = resource.replace("_", " ")
        message = f"The {scope} has used up its quota of {limit:g} {of}{per}; try again later."
        super().__init__(429, "TOO_MANY", message, retry_after_s=retry_after_s)
        self.resource = resource
        self.scope = scope
        self.limit = limit


Keys = Mapping[Scope, Hashable]
"""Who counts, in each scope."""


class Places:
    """Places that are taken and given back. In each scope a key may have ``limits`` of them; 0 is no limit."""

    def __init__(self, resource: Resource, limits: Mapping[Scope, float]) -> None:
        self.taken = 0
        self._resource = resource
        self._limits = limits
        self._taken: Counter[tuple[Scope, Hashable]] = Counter()

    def take(self, keys: Keys) -> Callable[[], None]:
        """Take a place in every scope. The function returned gives it back; calling it again changes nothing.

        Raises:
            TooManyError: a scope has none left.

        """
        for entry in keys.items():
            if 0 < self._limits[entry[0]] <= self._taken[entry]:
                raise TooManyError(self._resource, entry[0], self._limits[entry[0]], "", RETRY_S)
        held = set(keys.items())
        self._taken.update(held)
        self.taken += 1

        def give_back() -> None:
            self.taken -= bool(held)
            self._taken.subtract(held)
            for entry in held:
                if not self._taken[entry]:
                    del self._taken[entry]
            held.clear()

        return give_back


class Allowances:
    """What may be spent: ``per_s`` for each key of a scope, in bursts of `BURST_S`; a rate of 0 is no limit.

    Of each key one time is kept: when its allowance will be whole again. It is forgotten some time after that, so the
    memory is bounded by what is spent within one burst.

    https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
    """

    def __init__(self, resource: Resource, per_s: Mapping[Scope, float]) -> None:
        self._resource = resource
        self._rates = {scope: rate for scope, rate in per_s.items() if rate}
        self._whole_at: dict[Scope, OrderedDict[Hashable, float]] = {scope: OrderedDict() for scope in self._rates}

    def __len__(self) -> int:
        return sum(map(len, self._whole_at.values()))

    def check(self, keys: Keys, now: float) -> None:
        """Check that one can be spent in every scope.

        Raises:
            TooManyError: not in one of them.

        """
        for scope, rate in self._rates.items():
            wait_s = self._after(scope, keys[scope], now) - now - max(BURST_S, 1 / rate)
            if wait_s > ROUNDING_S:
                raise TooManyError(self._resource, scope, rate, " per second", wait_s)

    def spend(self, keys: Keys, now: float) -> None:
        """Spend one in every scope.

        Raises:
            TooManyError: it cannot be spent in one of them.

        """
        self.check(keys, now)
        for scope, whole_at in self._whole_at.items():
            while whole_at and next(iter(whole_at.values())) <= now:
                whole_at.popitem(last=False)
            whole_at[keys[scope]] = self._after(scope, keys[scope], now)
            whole_at.move_to_end(keys[scope])

    def _after(self, scope: Scope, key: Hashable, now: float) -> float:
        """When the allowance would be whole again if one more were spent now."""
        return max(now, self._whole_at[scope].get(key, now)) + 1 / self._rates[scope]


class Quotas:
    """The quotas of one server. ``on_refused`` is told of every refusal."""

    def __init__(self, settings: Settings, on_refused: Callable[[Resource, Scope], None]) -> None:
        self._on_refused = on_refused
        self.connections = Places(
            Resource.CONNECTIONS,
            {Scope.TENANT: settings.tenant_connections, Scope.USER: settings.user_connections},
        )
        self.subscriptions = Places(
            Resource.SUBSCRIPTIONS,
            {Scope.TENANT: settings.tenant_subscriptions, Scope.USER: settings.user_subscriptions},
        )
        self.uploads = Places(
            Resource.UPLOADS,
            {
                Scope.SERVER: SERVER_UPLOADS,
                Scope.TENANT: settings.tenant_uploads,
                Scope.USER: settings.user_uploads,
            },
        )
        self.unidentified = Places(Resource.UNIDENTIFIED_CONNECTIONS, {Scope.ADDRESS: UNIDENTIFIED_CONNECTIONS})
        self._requests = Allowances(
            Resource.REQUESTS,
            {Scope.TENANT: settings.tenant_requests_per_s, Scope.USER: settings.user_requests_per_s},
        )
        self._frames = Allowances(
            Resource.FRAMES,
            {Scope.TENANT: settings.tenant_frames_per_s, Scope.USER: settings.user_frames_per_s},
        )
        self._failures = Allowances(
            Resource.AUTHENTICATION_FAILURES, {Scope.ADDRESS: settings.address_failures_per_s}
        )

    def connect(self, who: Principal) -> Callable[[], None]:
        """Count an open WebSocket or SSE stream, until the function returned is called.

        Raises:
            TooManyError: there may be no more. So it is with all that follow.

        """
        with self.telling():
            return self.connections.take(_keys(who))

    def subscribe(self, who: Principal) -> Callable[[], None]:
        """Count a run or a project that is watched live, until the function returned is called."""
        with self.telling():
            return self.subscriptions.take(_keys(who))

    def upload(self, who: Principal) -> Callable[[], None]:
        """Count a request that brings documents, until the function returned is called."""
        with self.telling():
            return self.uploads.take({**_keys(who), Scope.SERVER: None})

    def approach(self, address: str) -> Callable[[], None]:
        """Count a WebSocket that has not said yet who it is, until the function returned is called."""
        with self.telling():
            return self.unidentified.take(_address_keys(address))

    def request(self, who: Principal, now: float) -> None:
        """Count an HTTP request."""
        with self.telling():
            self._requests.spend(_keys(who), now)

    def frame(self, who: Principal, now: float) -> None:
        """Count a WebSocket frame."""
        with self.telling():
            self._frames.spend(_keys(who), now)

    def check_failures(self, address: str, now: float) -> None:
        """Check that the client at ``address`` has not failed too often lately to say who it is."""
        with self.telling():
            self._failures.check(_address_keys(address), now)

    def fail(self, address: str, now: float) -> None:
        """Count that the client at ``address`` failed to say who it is."""
        with self.telling():
            self._failures.spend(_address_keys(address), now)

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Tell of a quota that what is done inside finds used up; the store counts some by itself."""
        try:
            yield
        except TooManyError as error:
            self._on_refused(error.resource, error.scope)
            raise


def _keys(who: Principal) -> Keys:
    return {Scope.TENANT: who.tenant, Scope.USER: (who.tenant, who.user_id)}


def _address_keys(address: str) -> Keys:
    """Whom an address stands for: of IPv6 the network of 64 bits that one subscriber is given."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return {Scope.ADDRESS: address}
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return {Scope.ADDRESS: ipaddress.IPv6Network((parsed, 64), strict=False)}
    return {Scope.ADDRESS: getattr(parsed, "ipv4_mapped", None) or parsed}
