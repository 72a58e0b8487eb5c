"""The page that signing in leads to: the one that was asked for, if it is ours; never anywhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio
from html_tree import read_html
from live import LiveServer
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures

from realtime.endpoints.return_path import page_path, sign_in_path

ID = "0b8f6c2e-5a3d-4f6e-9b1c-7d2e8f4a6c10"
OURS = (
    f"/projects/{ID}",
    f"/projects/{ID.upper()}",
    f"/projects/{ID}/runs/{ID}",
    f"/projects/{ID}/artifacts",
    f"/projects/{ID}/artifacts?run_id={ID}",
    f"/projects/{ID}/artifacts/{ID}",
    f"/projects/{ID}/documents/{ID}?page=2",
    f"/projects/{ID}/documents/{ID}?line=120",
)
NOT_OURS = (
    "",
    "/",
    "//evil.example",
    f"//evil.example/projects/{ID}",
    f"/\\evil.example/projects/{ID}",
    f"\\\\evil.example/projects/{ID}",
    f"https://evil.example/projects/{ID}",
    f"https:/projects/{ID}",
    "javascript:alert(1)",
    f"/%2Fevil.example/projects/{ID}",
    f"/projects/{ID}/%2e%2e/%2e%2e//evil.example",
    f"/projects/{ID}/../../..//evil.example",
    f"/\t/evil.example/projects/{ID}",
    f"/projects/{ID}\n",
    f"/projects/{ID}\r\nSet-Cookie: a=b",
    f"/projects/{ID}\0",
    f" /projects/{ID}",
    f"/projects/{ID}?next=//evil.example",
    f"/projects/{ID}/artifacts?run_id=//evil.example",
    f"/projects/{ID}#@evil.example",
    f"/projects/{ID}@evil.example",
    f"/api/v1/projects/{ID}/agent-runs",
    "/sign-in",
    "/sign-out",
)


@pytest.mark.parametrize("asked", OURS)
def test_page_of_ours_is_returned_to(asked: str) -> None:
    """The address of every page of a project is kept as it is."""
    assert page_path(asked) == asked
    assert sign_in_path(asked).startswith("/sign-in?next=%2Fprojects%2F")


@pytest.mark.parametrize("asked", NOT_OURS)
def test_address_that_is_no_page_of_ours_leads_home(asked: str) -> None:
    """Other hosts, whatever a browser may take for one, and what is no page: none of it is followed."""
    assert page_path(asked) == "/"
    assert sign_in_path(asked) == "/sign-in"


@pytest_asyncio.fixture(loop_scope="module")
async def browser(shared: LiveServer) -> AsyncIterator[httpx2.AsyncClient]:  # noqa: F811
    """A browser that nobody has signed in yet, on our own pages."""
    headers = {"Origin": shared.url, "Accept": "text/html"}
    async with httpx2.AsyncClient(base_url=shared.url, headers=headers) as client:
        yield client


@pytest.mark.asyncio(loop_scope="module")
async def test_signing_in_leads_back_to_the_page_that_was_asked_for(
    shared: LiveServer,  # noqa: F811
    browser: httpx2.AsyncClient,
) -> None:
    """Through the form, and through a failure of it; the page is there then."""
    asked = f"/projects/{shared.home.project_id}/artifacts?run_id={ID}"
    refused = await browser.get(asked)
    assert refused.status_code == 303
    form = read_html((await browser.get(refused.headers["Location"])).text)
    assert form.one("input", name="next")["value"] == asked
    sent = {"next": asked, "token": "wrong"}
    failed = await browser.post("/sign-in", data=sent)
    assert failed.status_code == 401
    again = read_html(failed.text)
    assert again.one("input", name="next")["value"] == asked
    field = again.one("textarea")
    assert ("autofocus" in field.attributes, field["aria-invalid"]) == (True, "true")
    assert again.one(id="sign-in-error").text
    signed_in = await browser.post("/sign-in", data={**sent, "token": shared.token})
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, asked)
    assert (await browser.get(asked)).status_code == 200


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("next_", ["//evil.example", "/\\evil.example", "https://evil.example/"])
async def test_signing_in_leads_nowhere_else(
    shared: LiveServer,  # noqa: F811
    browser: httpx2.AsyncClient,
    next_: str,
) -> None:
    """Neither the page nor the form takes over an address that somebody put into the link."""
    form = read_html((await browser.get("/sign-in", params={"next": next_})).text)
    assert form.one("input", name="next")["value"] == "/"
    signed_in = await browser.post("/sign-in", data={"next": next_, "token": shared.token})
    assert signed_in.headers["Location"] == "/"
