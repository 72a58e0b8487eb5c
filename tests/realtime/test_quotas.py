"""Places and allowances by themselves: what they let through, and what they remember."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.quotas import BURST_S, SERVER_UPLOADS, Allowances, Places, Quotas, Resource, Scope, TooManyError
from realtime.settings import Settings
from realtime.tokens import Principal

Refusals = Counter[tuple[Resource, Scope]]


def person(user_id: str = "u1", tenant: str = "t1") -> Principal:
    """Somebody."""
    return Principal(tenant=tenant, user_id=user_id, email="somebody@localhost", expires_at=2**40)


def quotas(**settings: float) -> tuple[Quotas, Refusals]:
    """Quotas by ``settings``, and what they refuse."""
    refused: Refusals = Counter()
    return Quotas(Settings(**settings), lambda resource, scope: refused.update([(resource, scope)])), refused


@given(
    rate=st.floats(0.05, 200),
    steps=st.lists(st.tuples(st.floats(0, 3), st.sampled_from("abcd")), min_size=1, max_size=200),
)
def test_allowance_never_exceeds_burst_and_rate(rate: float, steps: list[tuple[float, str]]) -> None:
    """Over any span of time, one key spends at most the burst and what the rate gives in that time."""
    allowances = Allowances(Resource.REQUESTS, {Scope.USER: rate})
    spent: dict[str, list[float]] = {}
    waits: list[float] = []
    for now, key in zip(accumulate(step for step, _ in steps), (key for _, key in steps), strict=True):
        try:
            allowances.spend({Scope.USER: key}, now)
        except TooManyError as error:
            waits.append(error.retry_after_s or 0)
        else:
            spent.setdefault(key, []).append(now)
    assert all(0 < wait <= 1 / rate + 1e-6 for wait in waits)
    burst = rate * max(BURST_S, 1 / rate)
    for times in spent.values():
        for first, since in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= burst + rate * (times[last] - since) + 1e-3


@given(rate=st.floats(0.05, 200), pause=st.floats(0, 5), keys=st.lists(st.integers(0, 500), max_size=300))
def test_allowance_remembers_only_the_last_burst(rate: float, pause: float, keys: list[int]) -> None:
    """What is kept is at most one entry for each key that was spent on within the time of a burst."""
    allowances = Allowances(Resource.REQUESTS, {Scope.USER: rate})
    burst_s = max(BURST_S, 1 / rate)
    spent_at: dict[int, float] = {}
    for number, key in enumerate(keys):
        now = number * pause
        try:
            allowances.spend({Scope.USER: key}, now)
        except TooManyError:
            continue
        spent_at[key] = now
        assert len(allowances) <= sum(now - then <= burst_s + 1e-5 for then in spent_at.values())


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.booleans()), max_size=200))
def test_places_are_counted_per_tenant_and_user(moves: list[tuple[str, str, bool]]) -> None:
    """However places are taken and given back, no scope holds more than its limit, and refuses only when full."""
    places = Places(Resource.CONNECTIONS, {Scope.TENANT: 5, Scope.USER: 2})
    held = []
    for tenant, user, give in moves:
        if give and held:
            held.pop(0)[2]()
            continue
        same_tenant = [one for one in held if one[0] == tenant]
        same_user = [one for one in same_tenant if one[1] == user]
        full = len(same_tenant) >= 5 or len(same_user) >= 2
        try:
            give_back = places.take({Scope.TENANT: tenant, Scope.USER: (tenant, user)})
        except TooManyError:
            assert full
        else:
            assert not full
            held.append((tenant, user, give_back))
        assert places.taken == len(held)
    for *_, give_back in held:
        give_back()
        give_back()
    assert places.taken == 0


def test_place_given_back_twice_frees_one() -> None:
    """Giving back is idempotent: a second call takes nobody else's place away."""
    limited, _ = quotas(user_connections=2)
    first = limited.connect(person())
    limited.connect(person())
    first()
    first()
    limited.connect(person())
    with pytest.raises(TooManyError):
        limited.connect(person())


def test_refusal_says_what_whose_how_much_and_when() -> None:
    """A refusal names the resource, the scope and the limit, in its fields and for people, and when to come back."""
    limited, refused = quotas(tenant_requests_per_s=1, user_requests_per_s=1000)
    limited.request(person("u1"), now=10.0)
    limited.request(person("u2"), now=10.0)
    with pytest.raises(TooManyError) as caught:
        limited.request(person("u3"), now=10.25)
    error = caught.value
    assert (error.status, error.code, error.resource, error.scope) == (429, "TOO_MANY", "requests", "tenant")
    assert error.limit == 1
    assert error.message == "The tenant has used up its quota of 1 requests per second; try again later."
    assert error.retry_after_s == pytest.approx(0.75)
    limited.request(person("u3"), now=11.0)
    assert refused == {("requests", "tenant"): 1}


def test_same_user_id_in_another_tenant_is_another_user() -> None:
    """Users are counted by tenant and id: one tenant's users never use up another's quota."""
    limited, _ = quotas(user_connections=1, user_frames_per_s=0.5, user_subscriptions=1, user_requests_per_s=0.5)
    for tenant in ("t1", "t2"):
        limited.connect(person(tenant=tenant))
        limited.subscribe(person(tenant=tenant))
        limited.frame(person(tenant=tenant), 0.0)
        limited.request(person(tenant=tenant), 0.0)


def test_refused_user_costs_the_tenant_nothing() -> None:
    """What a user is refused is not taken from the tenant: one that floods leaves the others their share."""
    limited, _ = quotas(tenant_requests_per_s=10, user_requests_per_s=1)
    for _ in range(2):
        limited.request(person("flood"), 0.0)
    for _ in range(100):
        with pytest.raises(TooManyError) as caught:
            limited.request(person("flood"), 0.0)
        assert caught.value.scope is Scope.USER
    for number in range(18):
        limited.request(person(f"u{number}"), 0.0)
    with pytest.raises(TooManyError) as caught:
        limited.request(person("one more"), 0.0)
    assert caught.value.scope is Scope.TENANT


def test_quota_of_zero_is_no_limit() -> None:
    """0 switches a quota off; places are counted all the same."""
    limited, refused = quotas(
        tenant_connections=0, user_connections=0, tenant_frames_per_s=0, user_frames_per_s=0, address_failures_per_s=0
    )
    for _ in range(1000):
        limited.connect(person())
        limited.frame(person(), 0.0)
        limited.fail("192.0.2.1", 0.0)
    assert limited.connections.taken == 1000
    assert not refused


def test_rate_below_one_per_burst_still_allows_one() -> None:
    """A rate so low that a burst holds less than one lets one through, then one each time it has come together."""
    limited, _ = quotas(user_requests_per_s=0.1)
    limited.request(person(), 0.0)
    with pytest.raises(TooManyError):
        limited.request(person(), 9.9)
    limited.request(person(), 10.0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
        ("<local>", "192.0.2.1", False),
    ],
)
def test_address_stands_for_its_subscriber(one: str, other: str, same: bool) -> None:
    """IPv4 addresses count by themselves, IPv6 ones by their network of 64 bits, whatever is no address as it is."""
    limited, refused = quotas(address_failures_per_s=0.5)
    limited.fail(one, 0.0)
    try:
        limited.check_failures(other, 0.0)
    except TooManyError:
        assert same
        assert refused == {("authentication_failures", "address"): 1}
    else:
        assert not same


def test_uploads_are_bounded_for_the_whole_server_too() -> None:
    """However many tenants send documents at once, and without a limit of their own."""
    limited, refused = quotas(tenant_uploads=0, user_uploads=0)
    held = [limited.upload(person(tenant=f"t{number}")) for number in range(SERVER_UPLOADS)]
    with pytest.raises(TooManyError):
        limited.upload(person(tenant="another"))
    assert refused == {(Resource.UPLOADS, Scope.SERVER): 1}
    held[0]()
    limited.upload(person(tenant="another"))
