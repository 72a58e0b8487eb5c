"""Failures of a language model, as words that somebody can act on and a verdict on trying again."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ModelError
from orchestrator.llm.openai_compatible.failures import (
    QUOTE_LIMIT,
    Failures,
    ProviderError,
    read_error,
    retry_after_s,
)

KEY = "sk-0123456789abcdef"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
WITH_KEY = Failures("llama", "http://127.0.0.1:9/v1", KEY, 60)
WITHOUT_KEY = Failures("llama", "http://127.0.0.1:9/v1", None, 60)
NAMES = st.sampled_from(["error", "message", "code", "type", "detail"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
)


def answered(status: int, body: Any = "", failures: Failures = WITH_KEY, **headers: str) -> ModelError:
    """The failure of a response."""
    text = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failures.of_response(status, named, text.encode(), NOW)


def openai(message: str, code: str | int | None = None, type: str = "invalid_request_error") -> dict[str, Any]:
    """An error as OpenAI writes it."""
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, openai(f"Incorrect API key provided: {KEY[:8]}****cdef"), "check RUNCAST_LLM_API_KEY"),
        (403, openai("not for you"), "check RUNCAST_LLM_API_KEY"),
        (402, openai("Insufficient credits"), "paid"),
        (429, openai("You exceeded your current quota", "insufficient_quota"), "paid"),
        (404, openai("The model `llama` does not exist", "model_not_found"), "check RUNCAST_LLM_MODEL"),
        (404, {"error": {"message": 'model "llama" not found, try pulling it first'}}, "RUNCAST_LLM_MODEL"),
        (404, {"object": "error", "message": "The model `llama` does not exist.", "code": 404}, "RUNCAST_LLM_MODEL"),
        (404, {"detail": "Not Found"}, "check RUNCAST_LLM_BASE_URL"),
        (404, "<html><title>A model railway</title></html>", "check RUNCAST_LLM_BASE_URL"),
        (405, "", "check RUNCAST_LLM_BASE_URL"),
        (400, openai("The maximum context length is 8192 tokens.", "context_length_exceeded"), "CONTEXT_TOKENS"),
        (400, {"error": {"code": 400, "message": "too big", "type": "exceed_context_size_error"}}, "CONTEXT_TOKENS"),
        (500, openai("the request exceeds the available context size"), "CONTEXT_TOKENS"),
        (400, openai("bad temperature"), "refused the request"),
        (418, "", "refused the request"),
        (307, "", "redirects"),
        (200, "<html><title>Please sign in</title></html>", "RUNCAST_LLM_BASE_URL"),
        (204, "", "RUNCAST_LLM_BASE_URL"),
    ],
)  # fmt: skip
def test_refusal_permanent_and_says_what_to_change(status: int, body: Any, said: str) -> None:
    """Where another attempt cannot help, none is asked for, and the setting to look at is named."""
    error = answered(status, body)
    assert error.permanent
    assert said in str(error)
    assert str(error).startswith("Model 'llama' at http://127.0.0.1:9/v1 ")


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_failure_of_the_moment_is_worth_another_attempt(status: int) -> None:
    """Too many requests, and what a server or a proxy before it may recover from, come with the wait it asks for."""
    error = answered(status, openai("try later"), retry_after="7")
    assert not error.permanent
    assert error.retry_after_s == 7
    assert f"HTTP {status}" in str(error)
    assert "“try later”" in str(error)


def test_missing_key_is_asked_for() -> None:
    """Who has given no key is told to set one, not to check it."""
    assert "asks for a key: set RUNCAST_LLM_API_KEY" in str(answered(401, openai("no key"), WITHOUT_KEY))


def test_words_about_a_key_are_not_repeated() -> None:
    """Providers quote the ends of a key that they refuse; of that, nothing is told on."""
    assert "0123" not in str(answered(401, openai(f"Incorrect API key provided: {KEY[:8]}****cdef")))


def test_page_of_a_proxy_told_by_its_title() -> None:
    """An HTML page instead of an error becomes its title, not its source."""
    text = str(answered(502, "<html><head><title>502 Bad\n Gateway</title></head><body>x</body></html>"))
    assert "“502 Bad Gateway”" in text
    assert "<" not in text


def test_redirect_told_without_what_may_be_secret() -> None:
    """Of the target only scheme and host are told."""
    text = str(answered(302, location="https://user:pw@elsewhere.example/login?token=abc"))
    assert "https://elsewhere.example (HTTP 302)" in text
    assert not {"user", "pw", "abc"} & set(text.replace("@", " ").replace("=", " ").split())


@pytest.mark.parametrize("location", ["", "/v2/chat", "http://[::1", "http://[x]/"])
def test_redirect_to_nowhere_still_told(location: str) -> None:
    """A target that is none, or no whole one, is no reason to fail otherwise."""
    assert "redirects to " in str(answered(301, location=location))


def test_answer_that_is_no_stream_told_with_its_kind() -> None:
    """A server that does not stream, or is no such server, is told apart by what it sent."""
    assert "application/json where a stream of events was expected" in str(
        answered(200, {"choices": []}, content_type="application/json; charset=utf-8")
    )


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [(None, "", False), (429, "", False), (400, "", True), (500, "insufficient_quota", True)],
)
def test_error_in_the_stream_judged_like_an_answer(status: int | None, code: str, permanent: bool) -> None:
    """What the provider tells half-way is judged by the status it names there, else as a failure of the moment."""
    assert WITH_KEY.of_error(ProviderError("boom", code, status)).permanent is permanent


@given(st.text(max_size=400), st.text(max_size=400), st.sampled_from([400, 402, 403, 404, 429, 500]))
def test_key_in_no_message_whatever_the_provider_says(before: str, after: str, status: int) -> None:
    """A provider may repeat the key anywhere in whatever it says: what is told on does not have it."""
    for body in (openai(before + KEY + after), before + KEY + after, {"detail": KEY + after}):
        text = str(answered(status, body))
        assert KEY not in text
        assert "\n" not in text
        assert len(text) < QUOTE_LIMIT + 300


@pytest.mark.parametrize(
    ("error", "said", "permanent"),
    [
        (httpx2.ConnectError("All connection attempts failed"), "cannot be reached", False),
        (httpx2.ConnectTimeout(""), "cannot be reached (no connection in time)", False),
        (httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get"), "set SSL_CERT_FILE", True),
        (httpx2.ReadTimeout(""), "silent for 60 s: if it needs longer to begin, raise RUNCAST_LLM_TIMEOUT_S", False),
        (httpx2.ReadError(""), "broke the connection before its answer was whole (ReadError)", False),
        (httpx2.RemoteProtocolError(f"bad {KEY}"), "(bad [key])", False),
        (httpx2.DecodingError("bad gzip"), "broke the connection", False),
    ],
)
def test_broken_connection_says_which_way(error: httpx2.RequestError, said: str, permanent: bool) -> None:
    """Not there, not trusted, silent and cut are different things to do about."""
    failed = WITH_KEY.of_transport(error)
    assert said in str(failed)
    assert failed.permanent is permanent


@pytest.mark.parametrize(
    ("reason", "said", "permanent"),
    [
        ("length", "900 tokens were allowed: raise RUNCAST_LLM_MAX_OUTPUT_TOKENS", True),
        ("content_filter", "content filter", True),
        ("tool_calls", "'tool_calls'; expected 'stop'", False),
    ],
)
def test_answer_ended_otherwise_than_by_being_done_refused(reason: str, said: str, permanent: bool) -> None:
    """An answer that was cut by the model's side is no artifact; what to change is said."""
    failed = WITH_KEY.of_finish(reason, 900)
    assert said in str(failed)
    assert failed.permanent is permanent


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("1.5", 1.5),
        ("86400", 86_400),
        (format_datetime(NOW.replace(second=30), usegmt=True), 30),
        (format_datetime(NOW.replace(hour=11), usegmt=True), 0),
        (format_datetime(NOW.replace(day=24), usegmt=True), 86_400),
        ("Mon, 23 Nov 2026 12:00:09 -0000", 9),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_seconds_or_date_is_a_wait(header: str | None, seconds: float | None) -> None:
    """A number or a date is a wait, never below zero; anything else asks for nothing."""
    assert retry_after_s(header, NOW) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_is_a_wait_or_none(header: str) -> None:
    """No header breaks anything."""
    seconds = retry_after_s(header, NOW)
    assert seconds is None or 0 <= seconds < math.inf


@given(JSON)
def test_any_json_is_an_error_or_none(body: Any) -> None:
    """Whatever JSON a server sends, reading it for an error does not fail."""
    error = read_error(json.dumps(body).encode())
    assert error is None or isinstance(error.message, str)
