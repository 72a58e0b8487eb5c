"""Pages for people that cannot be shown: which one comes instead, and the way on from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from live import LiveServer

from realtime.ports import ProjectInfo, RefusedError

HTML = {"Accept": "text/html"}


async def test_project_that_is_left_while_its_page_is_made_is_403(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A membership that ends between two looks at it is refused like one that ended before."""
    token = await server.user_with_role("owner")
    accounts, tenant = server.home.backend.accounts, server.home.user.tenant
    user = await server.home.store.accounts.find_user(tenant, "somebody@localhost")
    assert user is not None
    list_projects = accounts.list_projects

    async def remove_then_list(tenant: str, user_id: str) -> Sequence[ProjectInfo]:
        await server.home.store.accounts.remove_member(tenant, server.home.project_id, user.id)
        return await list_projects(tenant, user_id)

    monkeypatch.setattr(accounts, "list_projects", remove_then_list)
    headers = {**HTML, "Authorization": f"Bearer {token}"}
    page = await server.http.get(f"/projects/{server.home.project_id}", headers=headers)
    assert page.status_code == 403
    assert "FORBIDDEN" in page.text


@pytest.mark.parametrize(("status", "again"), [(503, True), (500, False)])
async def test_page_of_an_error_that_passes_offers_to_try_again(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch, status: int, again: bool
) -> None:
    """With 503 the same address may work later: the page links to it, and the head says when."""

    async def refuse(*_: Any) -> None:
        raise RefusedError(status, "UNAVAILABLE", "Not now.", retry_after_s=1.0 if again else None)

    monkeypatch.setattr(server.home.backend.runs, "list_documents", refuse)
    page = await server.http.get(f"/projects/{server.home.project_id}?tab=runs", headers=HTML)
    assert page.status_code == status
    assert ('<a href="">Try again</a>' in page.text) is again
    assert page.headers.get("Retry-After") == ("1" if again else None)
