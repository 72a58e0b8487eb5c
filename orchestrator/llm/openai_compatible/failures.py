"""What goes wrong -> `ModelError`, in words that somebody can act on, and without the key. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2
import msgspec

from orchestrator.errors import ModelError

QUOTE_LIMIT = 300

_TRANSIENT = {408, 409, 425, 429}
_TOO_LONG = re.compile(
    r"context.?(length|size|window)|maximum context|prompt is too long|too many tokens", re.IGNORECASE
)
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)


class ProviderError(msgspec.Struct, frozen=True):
    """What a provider says of an error: its words, its codes, and the HTTP status that it names in the body."""

    message: str = ""
    code: str = ""
    status: int | None = None


def read_error(body: bytes) -> ProviderError | None:
    """The error in the JSON of a body, in any of the shapes that servers have for it; None: there is none."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    error = answer.get("error") or answer if isinstance(answer, dict) else answer
    if isinstance(error, str):
        return ProviderError(error)
    if not isinstance(error, dict):
        return None
    message = error.get("message") or error.get("detail") or ""
    codes = [str(error[name]) for name in ("type", "code") if error.get(name)]
    status = error.get("code")
    known = isinstance(status, int) and 400 <= status < 600
    if not message and not codes:
        return None
    return ProviderError(str(message), " ".join(codes), status if known else None)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` asks for, as a number or a date, never below 0; None: nothing."""
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - now).total_seconds(), 0.0)


class Failures:
    """Failures of one model at one place, each as the error to raise."""

    def __init__(self, model: str, url: str, key: str | None, timeout_s: float) -> None:
        self._who = f"Model {model!r} at {url}"
        self._key = key
        self._timeout_s = timeout_s

    def of_response(self, status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ModelError:
        """For an answer that is no stream. ``body`` may be only its beginning."""
        if 300 <= status < 400:
            return self._permanent(
                f"redirects to {_origin(headers.get('location', ''))} (HTTP {status}), which is not followed, "
                "for it would take the documents elsewhere: set RUNCAST_LLM_BASE_URL to where the model is"
            )
        error = read_error(body)
        if status >= 400:
            wait_s = retry_after_s(headers.get("retry-after"), now)
            return self.of_error(
                error or ProviderError(_page(body)), status, retry_after_s=wait_s, is_api=bool(error)
            )
        if error is not None:
            return self.of_error(error)
        kind = headers.get("content-type", "").partition(";")[0].strip() or "nothing that says what it is"
        return self._permanent(
            f"answered HTTP {status} with {kind} where a stream of events was expected: check RUNCAST_LLM_BASE_URL",
            _page(body),
        )

    def of_error(
        self,
        error: ProviderError,
        status: int | None = None,
        *,
        retry_after_s: float | None = None,
        is_api: bool = True,
    ) -> ModelError:
        """For an error that the provider tells of, in an answer of that status or in its stream.

        ``is_api`` is False where the words are not those of a model's server, but of something before it.
        """
        status = status or error.status or 500
        said = error.message
        about = f"{error.code} {said}"
        if "insufficient_quota" in about or status == 402:
            return self._permanent(f"wants to be paid first (HTTP {status}): see to the account of the key", said)
        if status != 429 and _TOO_LONG.search(about):
            return self._permanent(
                "has no room for so much text: lower RUNCAST_LLM_CONTEXT_TOKENS or RUNCAST_LLM_MAX_OUTPUT_TOKENS, "
                "or give the model a larger context",
                said,
            )
        if status in _TRANSIENT or status >= 500:
            does = "is asked too often" if status == 429 else "failed"
            return self._error(f"{does} (HTTP {status})", said, retry_after_s=retry_after_s)
        return self._refusal(status, said, is_api=is_api)

    def _refusal(self, status: int, said: str, *, is_api: bool) -> ModelError:
        if status == 401:  # what providers say to this repeats parts of the key
            key = "did not accept the key: check" if self._key else "asks for a key: set"
            return self._permanent(f"{key} RUNCAST_LLM_API_KEY (HTTP 401)")
        if status == 403:
            return self._permanent("does not allow this key to use it: check RUNCAST_LLM_API_KEY (HTTP 403)", said)
        if status == 404 and is_api and "model" in said.lower():
            return self._permanent("is not known there: check RUNCAST_LLM_MODEL (HTTP 404)", said)
        if status in {404, 405}:
            return self._permanent(f"is not served there: check RUNCAST_LLM_BASE_URL (HTTP {status})", said)
        return self._permanent(f"refused the request (HTTP {status})", said)

    def of_transport(self, error: httpx2.RequestError) -> ModelError:
        """For a connection that was not made, or broke."""
        reason = self._bounded(str(error))
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return self._permanent(f"has a certificate that is not trusted ({reason}): set SSL_CERT_FILE")
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
            reason = reason or "no connection in time"
            return self._error(f"cannot be reached ({reason}): start it, or check RUNCAST_LLM_BASE_URL")
        if isinstance(error, httpx2.TimeoutException):
            return self._error(
                f"was silent for {self._timeout_s:g} s: if it needs longer to begin, raise RUNCAST_LLM_TIMEOUT_S"
            )
        return self._error(f"broke the connection before its answer was whole ({reason or type(error).__name__})")

    def of_stream(self, observed: str) -> ModelError:
        """For an answer of which ``observed`` says why it cannot be used."""
        return self._error(f"gave no whole answer: {observed}")

    def of_overlong(self, limit_s: float) -> ModelError:
        """For an answer that came, and did not end in the time that one may take."""
        return self._permanent(
            f"did not end its answer within {limit_s:g} s: lower RUNCAST_LLM_MAX_OUTPUT_TOKENS, or use a faster one"
        )

    def of_finish(self, reason: str, max_output_tokens: int) -> ModelError:
        """For an answer that the model ended for another reason than being done."""
        if reason == "length":
            return self._permanent(
                f"ran into the limit of its answer, of which {max_output_tokens} tokens were allowed: raise "
                "RUNCAST_LLM_MAX_OUTPUT_TOKENS, and the context of the model if that is full"
            )
        if reason == "content_filter":
            return self._permanent(
                "stopped because of its content filter: change the documents, or ask another model"
            )
        return self._error(
            f"gave no whole answer: it ended with finish_reason {_plain(reason)[:40]!r}; expected 'stop'"
        )

    def of_unread(self, read: int, sent: int) -> ModelError:
        """For an answer to a small part of what was asked, by how many tokens the endpoint says it has read."""
        return self._permanent(
            f"read only {read} of about {sent} tokens, and cut off the rest without a word: give the model a larger "
            "context, or lower RUNCAST_LLM_CONTEXT_TOKENS to what it has"
        )

    def _permanent(self, does: str, said: str = "") -> ModelError:
        return self._error(does, said, permanent=True)

    def _error(
        self, does: str, said: str = "", *, retry_after_s: float | None = None, permanent: bool = False
    ) -> ModelError:
        quoted = self._bounded(said)
        text = f"{self._who} {does}." + (f" It says: “{quoted}”" if quoted else "")
        return ModelError(text, retry_after_s=retry_after_s, permanent=permanent)

    def _bounded(self, said: str) -> str:
        """The words of somebody else: on one line, not too many, and without the key, should they repeat it."""
        words = _plain(said.replace(self._key, "[key]") if self._key else said)
        return words if len(words) <= QUOTE_LIMIT else f"{words[:QUOTE_LIMIT]}…"


def _plain(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _page(body: bytes) -> str:
    """What a body says that is no JSON: the title of a page, else its text."""
    text = body.decode(errors="replace")
    title = _TITLE.search(text)
    return title[1] if title else text


def _origin(location: str) -> str:
    """Scheme and host of a redirect's target: what comes after, or before an @, may be secret."""
    try:
        parts = urlsplit(location)
        return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another path"
    except ValueError:
        return "an address that is none"
