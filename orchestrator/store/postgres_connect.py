"""Reaching PostgreSQL, and telling what is wrong with it without ever telling the URL's password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from orchestrator.errors import StoreError
from orchestrator.store.pool_settings import APPLICATION_NAME

CONNECT_TIMEOUT_S = 5.0

SECRETS = (
    (re.compile(r"^(\w+://[^:@/]*):.*@", re.DOTALL), r"\1:***@"),
    (re.compile(r"([?&](?:password|sslpassword)=)[^&]*"), r"\1***"),
)
"""Where a URL has passwords, also one that is not encoded as it should be."""

SCHEME = re.compile(r"postgres(ql)?://")

EXPECTED = "expected postgresql://user:password@host:port/database, each part with its odd characters encoded"


def safe_url(url: str) -> str:
    """``url`` without its passwords, for people to read."""
    for secret, masked in SECRETS:
        url = secret.sub(masked, url)
    return url


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn whatever the driver raises into `StoreError`, with the driver's error as its cause.

    The text has the first line of what the driver says: those that follow may quote rows.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        raise _failure(doing, error) from error


@contextmanager
def connect_errors(url: str) -> Iterator[None]:
    """`store_errors` for whoever connects to ``url``, which asyncpg would replace by defaults where it is none."""
    if not SCHEME.match(url):
        raise StoreError(f"The URL of PostgreSQL does not begin with postgresql://; {EXPECTED}.")
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and not isinstance(error, asyncpg.ClientConfigurationError):
            # Whoever could not read the URL quotes what may be a part of its password.
            raise StoreError(f"The URL of PostgreSQL cannot be read; {EXPECTED}.") from None
        raise _failure(f"connecting to {safe_url(url)}", error) from error


async def connect(url: str, **settings: str) -> asyncpg.Connection[Any]:
    """A connection of its own, outside of any pool and without limits on its statements but those in ``settings``.

    Raises:
        StoreError: there is no such server, or it refuses.

    """
    with connect_errors(url):
        return await asyncpg.connect(
            url, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": APPLICATION_NAME, **settings}
        )


def _failure(doing: str, error: Exception) -> StoreError:
    told = str(error).partition("\n")[0] or "expected an answer sooner"  # a timeout has no text of its own
    return StoreError(f"PostgreSQL, {doing}: {type(error).__name__}: {told}")
