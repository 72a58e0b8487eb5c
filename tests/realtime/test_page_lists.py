"""Lists that are longer than a page of them: of documents and of runs, for people and for their scripts."""

from __future__ import annotations

from html_tree import Element, read_html
from live import LiveServer
from page_stage import seed_state, show

from realtime.endpoints.paging import DOCUMENTS_PER_PAGE, RUNS_PER_PAGE

MORE = 5
PATHS = [f"{number:04} a&b#.md" for number in range(DOCUMENTS_PER_PAGE + MORE)]
HOSTILE = '"><script>alert(1)</script>'


async def read_list(server: LiveServer, address: str) -> Element:
    """The page at that address."""
    answer = await server.http.get(address, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    assert HOSTILE not in answer.text
    return read_html(answer.text)


def names(page: Element) -> list[str]:
    """What the lines of the page's list are called."""
    return [link.one("span", class_="path").text for link in page.one("ul", class_="rows documents").all("a")]


async def add_many(server: LiveServer) -> None:
    """`MORE` documents more than a page has; the server's own comes after all of them."""
    tenant, project_id = server.home.user.tenant, server.home.project_id
    await server.home.store.documents.add_documents(tenant, project_id, [(path, "It must.") for path in PATHS])


async def test_documents_beyond_a_page_are_counted_and_have_pages_of_their_own(server: LiveServer) -> None:
    """The project's page says how many there are and leads to all of them; before that, nothing is said."""
    assert (await show(server)).root.one(data_part="more").hidden
    await add_many(server)
    section = (await show(server)).root.one(id="documents")
    assert len(section.one(data_part="list").all("li")) == DOCUMENTS_PER_PAGE
    more = section.one(data_part="more")
    assert not more.hidden
    assert more.text == f"The first 200 of {len(PATHS) + 1} are listed here. All documents"
    first = await read_list(server, more.one("a")["href"] or "")
    assert names(first) == PATHS[:DOCUMENTS_PER_PAGE]
    second = await read_list(server, first.one("a", rel="next")["href"] or "")
    *numbered, own = names(second)
    assert numbered == PATHS[DOCUMENTS_PER_PAGE:]
    assert own not in PATHS
    assert second.all("a", rel="next") == []
    assert names(await read_list(server, second.one("nav", class_="pages").one("a")["href"] or "")) == names(first)


async def test_documents_after_what_is_no_path_are_those_after_it(server: LiveServer) -> None:
    """Whatever the address says is compared, and shown as the text that it is."""
    html = await read_list(server, f"/projects/{server.home.project_id}/documents?after=~{HOSTILE}")
    assert "No documents after this one." in html.text


async def test_rest_has_documents_by_page_with_their_total(server: LiveServer) -> None:
    """Without a limit all of them come, as ever."""
    await add_many(server)
    whole = (await server.http.get(f"{server.project}/documents")).json()
    assert (len(whole["documents"]), whole["total"]) == (len(PATHS) + 1, len(PATHS) + 1)
    query = {"limit": "3", "after": PATHS[4]}
    part = (await server.http.get(f"{server.project}/documents", params=query)).json()
    assert part == {"documents": whole["documents"][5:8], "total": len(PATHS) + 1}
    assert (await server.http.get(f"{server.project}/documents", params={"limit": "0"})).status_code == 400


async def test_runs_that_are_older_are_reached_from_the_projects_page(server: LiveServer) -> None:
    """All of them, page by page, each with its state and the way to its own page."""
    runs = [(await seed_state(server, "complete")).id for _ in range(RUNS_PER_PAGE + MORE)]
    project = (await show(server)).root.one(id="runs")
    first = await read_list(server, project.one("p", class_="hint all").one("a")["href"] or "")
    second = await read_list(server, first.one("a", rel="next")["href"] or "")
    listed = [row for page in (first, second) for row in page.one("ul", class_="rows").all("li")]
    assert len(first.one("ul", class_="rows").all("li")) == RUNS_PER_PAGE
    assert sorted(str(row["data-run-id"]) for row in listed) == sorted(runs)
    assert {row.one("span", class_="chip").text for row in listed} == {"Completed"}
    assert listed[-1].one("a")["href"] == f"/projects/{server.home.project_id}/runs/{listed[-1]['data-run-id']}"
    assert second.all("a", rel="next") == []
    end = await read_list(server, f"/projects/{server.home.project_id}/runs?before={listed[-1]['data-run-id']}")
    assert "No older runs." in end.text
    answer = await server.http.get(f"/projects/{server.home.project_id}/runs?before=x")
    assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_ID")
