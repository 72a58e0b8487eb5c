"""What tests of REST say to the server, and read in its answers."""

from __future__ import annotations

import httpx2


def bearer(token: str) -> dict[str, str]:
    """The header that identifies by ``token``."""
    return {"Authorization": f"Bearer {token}"}


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code of an answer that is an error in the one shape."""
    body = answer.json()
    assert set(body) == {"error", "message"}, body
    assert answer.headers["Content-Type"] == "application/json"
    assert body["message"]
    return answer.status_code, body["error"]
