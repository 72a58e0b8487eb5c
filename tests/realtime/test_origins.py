"""Which pages may use the server: what an origin is, which are set, and the one rule that decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import PROPERTY

from realtime.origins import Origins, parse_origin
from realtime.settings import Settings, SettingsError

ALLOWED = "https://app.example.org"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.org", "https://app.example.org"),
        ("HTTPS://App.Example.ORG:443", "https://app.example.org"),
        ("http://app.example.org:80", "http://app.example.org"),
        ("http://app.example.org:443", "http://app.example.org:443"),
        ("https://app.example.org:08443", "https://app.example.org:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[0:0::1]:8000", "http://[::1]:8000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_origin_is_written_as_a_browser_does(text: str, origin: str) -> None:
    """Lower case, without the port that the scheme implies; twice is as once."""
    assert parse_origin(text) == parse_origin(origin) == origin


NO_ORIGINS = [
    "", "*", "null", "app.example.org", "//app.example.org", "https://", "https://*", "https://*.example.org",
    "https://app.example.org/", "https://app.example.org/path", "https://app.example.org?q", "https://app.example.org#f",
    "https://user@app.example.org", "https://app.example.org:", "https://app.example.org:0", "https://a.example:65536",
    "https://a.example:1e3", "https://a.example:123456", "ftp://app.example.org", "file://", "javascript://a",
    "https://a.example\n", " https://a.example", "https://a.example https://b.example",
    "https://a.example,https://b.example",
    "https://bücher.example", "https://a.example:４４３", "https://[::1", "https://[::g]", "https://[]",
    "https://-a.example",
    "https://a\x00.example", "https://a.example\\@b.example", "https://127.0.0.1%00",
    "https:/a.example", "https:a.example",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_ORIGINS)
def test_text_that_is_no_origin_is_refused(text: str) -> None:
    """As a setting it is an error that names it; in a request nobody is it."""
    with pytest.raises(SettingsError, match="allowed_origins: "):
        Settings(allowed_origins=(ALLOWED, text))
    origins = Origins("https://runs.example.org", [ALLOWED])
    assert not origins.allows(text, "https", text.removeprefix("https://"))
    assert not origins.embeds(text)


@pytest.mark.parametrize("url", ["https://runs.example.org", "https://runs.example.org/", "http://10.0.0.1:8000/"])
def test_public_url_may_end_in_a_slash(url: str) -> None:
    """It is an address, and its origin is what counts."""
    Settings(public_url=url)
    origin = url.rstrip("/")
    assert Origins(url).allows(origin, "http", "another.example")
    assert Origins(url).secure is url.startswith("https")


@pytest.mark.parametrize(
    "url", ["runs.example.org", "https://runs.example.org/runcast", "*", "", "https://u@a.example"]
)
def test_public_url_that_is_no_origin_is_refused(url: str) -> None:
    """Below a path nothing is served."""
    with pytest.raises(SettingsError, match="public_url: "):
        Settings(public_url=url)


def test_own_origin_is_that_of_the_request_without_a_public_url() -> None:
    """Scheme and host, default ports left out on either side, WebSocket schemes as their HTTP ones."""
    origins = Origins()
    for origin, scheme, host in (
        ("http://127.0.0.1:8000", "http", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "ws", "127.0.0.1:8000"),
        ("https://runs.example.org", "wss", "Runs.Example.org:443"),
        ("HTTPS://RUNS.example.org:443", "https", "runs.example.org"),
    ):
        assert origins.allows(origin, scheme, host)
        assert not origins.allows(origin.replace("://", "://other."), scheme, host)
    assert not origins.allows("https://runs.example.org", "http", "runs.example.org")
    assert not origins.allows("http://runs.example.org:8001", "http", "runs.example.org:8000")
    assert not origins.allows("http://runs.example.org", "http", "")


def test_own_origin_is_the_public_url_where_there_is_one() -> None:
    """What the request says of its host decides nothing then."""
    origins = Origins("https://runs.example.org", [ALLOWED])
    assert origins.allows("https://runs.example.org", "http", "10.0.0.7:8000")
    assert origins.allows(ALLOWED, "http", "10.0.0.7:8000")
    assert not origins.allows("http://10.0.0.7:8000", "http", "10.0.0.7:8000")


def test_other_origin_that_is_allowed_is_not_our_own() -> None:
    """What only our own pages may do is decided by scheme and host, or the public URL, and never by the list."""
    cases = {
        "http://a.example": Origins(None, [ALLOWED]),
        "https://b.example": Origins("https://b.example", [ALLOWED]),
    }
    for own, origins in cases.items():
        assert origins.is_own(own, "http", "a.example")
        assert origins.allows(ALLOWED, "http", "a.example")
        for other in (ALLOWED, "null", "", f"{own}:8443"):
            assert not origins.is_own(other, "http", "a.example")


@PROPERTY
@given(st.text(max_size=60) | st.from_regex(r"(https?|null)?:?/{0,2}[a-z.:@\[\]0-9]{0,20}", fullmatch=True))
def test_any_text_is_an_origin_in_one_way_or_none(text: str) -> None:
    """What is read as an origin stays what it is when read again; anything else is a ValueError and nobody's."""
    try:
        origin = parse_origin(text)
    except ValueError:
        assert not Origins(None, [ALLOWED]).allows(text, "http", text)
        return
    assert parse_origin(origin) == origin
    assert origin.isascii()
