"""Keys at a URL: cached, rotated, bounded, and what happens while they cannot be fetched. Over real connections."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog
from issuer import Directory, Publisher, jwk, publisher, signed

from realtime.jwks import CACHE_S, RETRY_S, STALE_S, UNKNOWN_KEY_S, KeysUnavailableError, PublishedKeys
from realtime.keys import MAX_BYTES, KeysError
from realtime.tokens import InvalidTokenError, Tokens, Trust


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """What the keys' ages are counted with."""
    return Clock()


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Publisher]:
    """An issuer that publishes one key of each algorithm."""
    async with publisher() as place:
        place.publish(jwk("RS256", kid="rsa"), jwk("ES256", kid="ec"), jwk("EdDSA", kid="ed"))
        yield place


def trusting(issuer: Publisher, clock: Clock, *, timeout_s: float = 20.0) -> Tokens:
    """Tokens that trust what ``issuer`` publishes."""
    accounts = Directory()
    keys = PublishedKeys(issuer.url, clock=clock, timeout_s=timeout_s)
    return Tokens(b"the own secret of a home, long enough", Trust(accounts=accounts, keys=keys))  # type: ignore[arg-type]


async def reads(tokens: Tokens, token: str) -> bool:
    """True where the token is good, False where it is not."""
    try:
        return (await tokens.read(token)).user_id == "user-1"
    except InvalidTokenError:
        return False


async def test_published_keys_are_fetched_once_and_verify(issuer: Publisher, clock: Clock) -> None:
    """Tokens of each algorithm, with and without key id, cost one fetch; a stranger's token costs none more."""
    tokens = trusting(issuer, clock)
    assert issuer.asked == 0
    for name, kid in (("RS256", "rsa"), ("ES256", "ec"), ("EdDSA", "ed")):
        assert await reads(tokens, signed(name, kid=kid))
        assert await reads(tokens, signed(name))
        assert not await reads(tokens, signed(f"{name} stranger", kid=kid))
    assert issuer.asked == 1


async def test_many_tokens_at_once_wait_for_one_fetch(issuer: Publisher, clock: Clock) -> None:
    """Whoever comes while keys are being fetched waits for the same fetch; one who leaves takes nobody along."""
    issuer.open.clear()
    tokens = trusting(issuer, clock)
    asking = [asyncio.create_task(reads(tokens, signed("ES256", kid="ec"))) for _ in range(20)]
    await issuer.arrived.wait()
    asking.pop(0).cancel()
    issuer.open.set()
    assert all(await asyncio.gather(*asking))
    assert issuer.asked == 1


async def test_rotated_key_is_found_and_the_old_one_ends_with_the_cache(issuer: Publisher, clock: Clock) -> None:
    """A new key id is fetched at once; the old key, no longer published, stops with that fetch."""
    tokens = trusting(issuer, clock)
    assert await reads(tokens, signed("ES256", kid="ec"))
    issuer.publish(jwk("ES256 new", kid="ec-2"))
    assert await reads(tokens, signed("ES256", kid="ec"))
    clock.now += UNKNOWN_KEY_S
    assert await reads(tokens, signed("ES256 new", kid="ec-2"))
    assert not await reads(tokens, signed("ES256", kid="ec"))
    assert issuer.asked == 2


async def test_withdrawn_key_stops_when_the_cache_ends(issuer: Publisher, clock: Clock) -> None:
    """Without any unknown key, the cache alone ends it; an empty set is taken at its word."""
    tokens = trusting(issuer, clock)
    assert await reads(tokens, signed("RS256", kid="rsa"))
    issuer.publish()
    clock.now += CACHE_S - 1
    assert await reads(tokens, signed("RS256", kid="rsa"))
    clock.now += 1
    assert not await reads(tokens, signed("RS256", kid="rsa"))
    assert issuer.asked == 2


async def test_unknown_key_ids_make_few_fetches(issuer: Publisher, clock: Clock) -> None:
    """However many key ids strangers invent, the issuer is asked at most every 30 s; unknown algorithms never ask."""
    tokens = trusting(issuer, clock)
    for second in range(60):
        assert not await reads(tokens, signed("ES256 stranger", kid=f"invented-{second}"))
        clock.now += 1
    assert issuer.asked == 60 / UNKNOWN_KEY_S
    clock.now += CACHE_S
    head = signed("RS256", kid="rsa").split(".", 1)[1]
    assert not await reads(tokens, f"eyJhbGciOiJSUzM4NCJ9.{head}")
    assert issuer.asked == 60 / UNKNOWN_KEY_S


async def test_known_keys_work_while_the_issuer_is_down_for_a_time(issuer: Publisher, clock: Clock) -> None:
    """After the cache, keys last seen serve up to an hour; then it cannot be known, 503; back up, all is well."""
    tokens = trusting(issuer, clock)
    token = signed("EdDSA", kid="ed")
    assert await reads(tokens, token)
    issuer.answer(b"down", "503 Service Unavailable")
    clock.now += CACHE_S
    assert await reads(tokens, token)
    clock.now += STALE_S - CACHE_S - 1
    assert await reads(tokens, token)
    clock.now += 1
    with pytest.raises(KeysUnavailableError) as refusal:
        await tokens.read(token)
    assert (refusal.value.status, refusal.value.code, refusal.value.retry_after_s) == (503, "UNAVAILABLE", RETRY_S)
    issuer.publish(jwk("EdDSA", kid="ed"))
    clock.now += RETRY_S
    assert await reads(tokens, token)


async def test_issuer_that_hangs_delays_nobody_with_a_known_key(issuer: Publisher, clock: Clock) -> None:
    """Once a fetch has failed, tokens with a cached key are answered while the next fetch is under way."""
    tokens = trusting(issuer, clock)
    token = signed("RS256", kid="rsa")
    assert await reads(tokens, token)
    issuer.answer(b"down", "500 Internal Server Error")
    clock.now += CACHE_S
    assert await reads(tokens, token)
    issuer.open.clear()
    issuer.arrived.clear()
    issuer.publish(jwk("RS256", kid="rsa"), jwk("ES256 new", kid="ec-2"))
    clock.now += RETRY_S
    assert await reads(tokens, token)
    await issuer.arrived.wait()
    assert await reads(tokens, token)
    waiting = asyncio.create_task(reads(tokens, signed("ES256 new", kid="ec-2")))
    issuer.open.set()
    assert await waiting
    assert issuer.asked == 3


async def test_failing_fetches_are_spaced(issuer: Publisher, clock: Clock) -> None:
    """With no key at all, many tokens make one fetch per pause, and each is told that it cannot be known now."""
    issuer.answer(b"", "500 Internal Server Error")
    tokens = trusting(issuer, clock)
    for _ in range(2):
        for _ in range(5):
            with pytest.raises(KeysUnavailableError):
                await tokens.read(signed("RS256"))
        clock.now += RETRY_S
    assert issuer.asked == 2


@pytest.mark.parametrize(
    ("body", "status", "headers"),
    [
        (b"", "200 OK", ""),
        (b"no JSON", "200 OK", ""),
        (b"[]", "200 OK", ""),
        (b'{"keys": 5}', "200 OK", ""),
        (json.dumps({"keys": [jwk("ES256", kid="ec")]}).encode(), "404 Not Found", ""),
        (json.dumps({"keys": [jwk("ES256", kid="ec")]}).encode(), "203 Elsewhere", ""),
        (json.dumps({"keys": [jwk("ES256", kid="ec")]}).encode() + b" " * MAX_BYTES, "200 OK", ""),
        (b"\x1f\x8b\x08\x00packed", "200 OK", "Content-Encoding: gzip\r\n"),
        (b"", "200 OK", "Content-Length: nonsense\r\n"),
    ],
)  # fmt: skip
async def test_answer_that_is_no_key_set_is_a_failure(
    issuer: Publisher, clock: Clock, body: bytes, status: str, headers: str
) -> None:
    """Broken, too large, packed or of another status: no key is taken from it, and known keys stay."""
    tokens = trusting(issuer, clock)
    token = signed("ES256", kid="ec")
    assert await reads(tokens, token)
    issuer.answer(body, status, headers)
    clock.now += CACHE_S
    assert await reads(tokens, token)
    with pytest.raises(KeysUnavailableError):
        await tokens.read(signed("ES256 new", kid="ec-2"))


async def test_redirect_is_not_followed(issuer: Publisher, clock: Clock) -> None:
    """Where keys are published is said by the setting alone."""
    async with publisher() as elsewhere:
        elsewhere.publish(jwk("ES256", kid="ec"))
        issuer.answer(b"", "302 Found", f"Location: {elsewhere.url}\r\n")
        with pytest.raises(KeysUnavailableError):
            await trusting(issuer, clock).read(signed("ES256", kid="ec"))
        assert (issuer.asked, elsewhere.asked) == (1, 0)


@pytest.mark.parametrize("trickle", [False, True])
async def test_answer_that_does_not_end_is_given_up(issuer: Publisher, clock: Clock, trickle: bool) -> None:
    """Silence, or a byte now and then: a fetch has one deadline."""
    issuer.trickle = trickle
    if not trickle:
        issuer.open.clear()
    with pytest.raises(KeysUnavailableError):
        await trusting(issuer, clock, timeout_s=1.0).read(signed("ES256", kid="ec"))
    assert issuer.asked == 1


async def test_issuer_that_cannot_be_reached_is_a_failure(clock: Clock) -> None:
    """Nobody listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        keys = PublishedKeys(f"http://127.0.0.1:{free.getsockname()[1]}/", clock=clock)
        with pytest.raises(KeysUnavailableError):
            await keys.find("ES256", None)


async def test_failed_fetch_is_logged_without_keys_or_tokens(issuer: Publisher, clock: Clock) -> None:
    """The operator learns why; neither the answer nor the token stands in the log."""
    issuer.answer(json.dumps(jwk("ES256", kid="ec", d="private")).encode(), "500 Internal Server Error")
    token = signed("ES256", kid="ec")
    with structlog.testing.capture_logs() as logs, pytest.raises(KeysUnavailableError):
        await trusting(issuer, clock).read(token)
    (line,) = logs
    assert line["log_level"] == "warning"
    assert line["reason"] == "the answer's status was 500; expected 200"
    assert set(line) == {"event", "log_level", "reason"}


@pytest.mark.parametrize(
    "url",
    [
        "", "issuer.example", "ftp://issuer.example/", "http://issuer.example/keys", "http://10.0.0.1/", "https://",
        "http://127.0.0.1.example/", "https://user:password@issuer.example/", "file:///etc/passwd", "http://[::2]/",
        "https://a\x00b/", "http://user@localhost/",
    ],
)  # fmt: skip
def test_url_that_could_be_tampered_with_is_refused(url: str) -> None:
    """Only https, or http that does not leave this machine."""
    with pytest.raises(KeysError, match="expected a URL of https") as refusal:
        PublishedKeys(url)
    assert "password" not in str(refusal.value).replace("user and password", "")


@pytest.mark.parametrize(
    "url", ["https://issuer.example/keys", "http://localhost:8080/", "http://127.0.0.1/", "http://[::1]:80/k"]
)
def test_url_that_cannot_be_tampered_with_is_taken(url: str) -> None:
    """Nothing is fetched before the first token comes."""
    PublishedKeys(url)
