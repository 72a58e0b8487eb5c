"""Artifacts and documents over HTTP: pages for people, and files."""

from __future__ import annotations

import re
from typing import NamedTuple
from uuid import uuid4

import pytest
from live import LiveServer
from seeded import AGENT, seed_run
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures

from orchestrator.events import StepComplete
from orchestrator.records import Artifact
from realtime.endpoints.material import TITLED_DOCUMENTS
from realtime.endpoints.paging import ARTIFACTS_PER_PAGE

pytestmark = pytest.mark.asyncio(loop_scope="module")

HTML = {"Accept": "text/html"}
HOSTILE = "</pre></script><script>alert(1)</script><b onclick=alert(1)>b</b>"


@pytest.fixture
def server(shared: LiveServer) -> LiveServer:  # noqa: F811
    """The server of this module."""
    return shared


class Left(NamedTuple):
    """A run, and the artifact that its agent left behind."""

    run_id: str
    artifact_id: str


async def leave(server: LiveServer, content: str, content_type: str = "text/markdown", title: str = "Matrix") -> Left:
    """A run that is not over yet, with one artifact."""
    run = await seed_run(server)
    artifact = Artifact(
        id=str(uuid4()),
        run_id=run.id,
        step_id=run.step_id,
        agent_type=AGENT,
        title=title,
        artifact_type="matrix",
        content_type=content_type,
        content=content,
    )
    done = StepComplete(step_id=run.step_id, agent_type=AGENT, tokens_used=0, artifact_id=artifact.id, duration_ms=1)
    await server.home.store.runs.save(run.key.tenant, run.id, run.token, [done], [artifact])
    return Left(run.id, artifact.id)


async def add_document(server: LiveServer, path: str, content: str) -> str:
    """The id of a document of the local project."""
    answer = await server.http.post(f"{server.project}/documents", json={"path": path, "content": content})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["documents"][0]["id"])


async def page(server: LiveServer, path: str) -> str:
    """A page of the local project, as the server renders it."""
    answer = await server.http.get(f"/projects/{server.home.project_id}{path}", headers=HTML)
    assert answer.status_code == 200, answer.text
    assert " style=" not in answer.text
    return answer.text


def linked_artifacts(html: str) -> list[tuple[str, bool]]:
    """The artifacts in the list, and whether each is the one that is shown."""
    links = re.findall(r'data-artifact-id="([^"]+)"( aria-current="true")?', html)
    return [(artifact_id, current != "") for artifact_id, current in links]


async def test_list_shows_the_first_artifact_of_the_newest_run(server: LiveServer) -> None:
    """The newest run stands first; with a run in the address there are only its own, and links keep it."""
    older = await leave(server, "# Older")
    newer = await leave(server, "# Newer\n\nIt is **bold**.")
    html = await page(server, "/artifacts")
    assert linked_artifacts(html)[:2] == [(newer.artifact_id, True), (older.artifact_id, False)]
    assert "<strong>bold</strong>" in html
    html = await page(server, f"/artifacts?run_id={older.run_id}")
    assert linked_artifacts(html) == [(older.artifact_id, True)]
    assert f'/artifacts/{older.artifact_id}?run_id={older.run_id}"' in html


async def test_artifact_has_an_address_of_its_own(server: LiveServer) -> None:
    """It is shown beside those of its run, whatever else is newer."""
    left = await leave(server, "# Mine")
    await leave(server, "# Newer")
    html = await page(server, f"/artifacts/{left.artifact_id}")
    assert linked_artifacts(html) == [(left.artifact_id, True)]
    assert "<h3>Mine</h3>" in html
    assert "<title>Matrix · Artifacts · Demo · Runcast</title>" in html


@pytest.mark.parametrize(
    "content_type", ["text/markdown", "text/x-gherkin", "text/x-typescript", "text/html", "text/csv"]
)
async def test_hostile_artifact_is_only_text(server: LiveServer, content_type: str) -> None:
    """Whatever kind it says it is, nothing in it becomes part of the page; the title neither."""
    left = await leave(server, f"{HOSTILE}\n", content_type, title=f"A {HOSTILE}")
    html = await page(server, f"/artifacts/{left.artifact_id}")
    assert "<script>" not in html
    assert "<b " not in html
    assert "&lt;b onclick=alert(1)&gt;" in html


async def test_line_that_an_artifact_names_leads_to_that_line(server: LiveServer) -> None:
    """The link has the line as its title, and its address is one of the document's page."""
    document_id = await add_document(server, "specs/my shop.md", f"# Shop\n\nIt **must** {HOSTILE}\n")
    left = await leave(server, "| a |\n|---|\n| `specs/my shop.md:3` |\n")
    html = await page(server, f"/artifacts/{left.artifact_id}")
    links = re.findall(r'<a class="source" href="([^"#]+)#(L3)" title="It \*\*must\*\* &lt;/pre&gt;', html)
    assert links == [(f"/projects/{server.home.project_id}/documents/{document_id}?line=3", "L3")]
    answer = await server.http.get(links[0][0], headers=HTML)
    assert re.search(r'<li id="L3">It \*\*must\*\* &lt;/pre&gt;', answer.text)
    assert "<script>" not in answer.text


async def test_links_into_many_documents_have_titles_for_the_first(server: LiveServer) -> None:
    """Reading every document that an artifact names would take a question each."""
    paths = [f"many/{number}.md" for number in range(TITLED_DOCUMENTS + 5)]
    tenant, project_id = server.home.user.tenant, server.home.project_id
    await server.home.store.documents.add_documents(tenant, project_id, [(path, "It must.") for path in paths])
    left = await leave(server, " ".join(f"{path}:1" for path in paths))
    html = await page(server, f"/artifacts/{left.artifact_id}")
    assert html.count('class="source"') == len(paths)
    assert html.count('title="It must."') == TITLED_DOCUMENTS


async def test_list_that_is_long_leads_to_older_artifacts(server: LiveServer) -> None:
    """Only where it is; from the page of those, and from its end, there is a way back."""
    oldest = await leave(server, "# Oldest")
    run = await seed_run(server)
    assert "Older artifacts" not in await page(server, "/artifacts")
    many = [
        Artifact(
            id=str(uuid4()), run_id=run.id, step_id=run.step_id, agent_type=AGENT, title="Many",
            artifact_type="matrix", content_type="text/plain", content="a",
        )
        for _ in range(ARTIFACTS_PER_PAGE + 1)
    ]  # fmt: skip
    await server.home.store.runs.save(run.key.tenant, run.id, run.token, [], many)
    html = await page(server, "/artifacts")
    assert len(linked_artifacts(html)) == ARTIFACTS_PER_PAGE
    (older,) = re.findall(r'href="[^"]*/artifacts(\?before=[^"]+)" rel="next">Older artifacts<', html)
    html = await page(server, f"/artifacts{older}")
    (rest, *following) = [artifact_id for artifact_id, _ in linked_artifacts(html)]
    assert rest in {artifact.id for artifact in many}
    assert oldest.artifact_id in following
    assert ">Newest artifacts<" in html
    assert (await server.http.get(f"/projects/{server.home.project_id}/artifacts?before=x")).status_code == 400


async def test_document_that_changed_since_is_told(server: LiveServer) -> None:
    """A later version may have its lines elsewhere: the page says so, of the documents that it names only."""
    await add_document(server, "kept.md", "kept")
    await add_document(server, "changed.md", "old")
    left = await leave(server, "`kept.md:1` `changed.md:1`")
    assert "Lines may have moved" not in await page(server, f"/artifacts/{left.artifact_id}")
    await add_document(server, "changed.md", "new")
    await add_document(server, "unnamed.md", "new")
    (told,) = re.findall(
        r"Changed since this was written:\s*(.*?)\s*Lines", await page(server, f"/artifacts/{left.artifact_id}")
    )
    assert told == "changed.md."


async def test_artifact_that_is_huge_is_shown_as_it_was_written(server: LiveServer) -> None:
    """The page says why, and where to find what is not in it; there is nothing to copy that is not whole."""
    left = await leave(server, "# a\n" * 200_000)
    html = await page(server, f"/artifacts/{left.artifact_id}")
    assert "too large to be laid out" in html
    assert "The rest is in the download." in html
    assert html.count("# a\n") == 256 * 1024 / 4
    assert "Copy" not in html


async def test_long_document_has_pages(server: LiveServer) -> None:
    """Each page leads to the others; what is no page of it is not found."""
    document_id = await add_document(server, "long.md", "".join(f"line {number}\n" for number in range(1, 5002)))
    path = f"/documents/{document_id}"
    first, second = await page(server, path), await page(server, f"{path}?page=2")
    assert '<li id="L5000">line 5000</li>' in first
    assert 'id="L5001"' not in first
    assert f'{path}?page=2" rel="next"' in first
    assert '<li id="L5001">line 5001</li>' in second
    assert "Lines 5001 to 5001 of 5001" in second
    assert '<li id="L5001">' in await page(server, f"{path}?line=5001")
    for number, status in ((0, 404), (3, 404), ("x", 400), ("-1", 400), ("9" * 20, 400)):
        answer = await server.http.get(f"/projects/{server.home.project_id}{path}?page={number}")
        assert answer.status_code == status, number


async def test_document_is_read_with_its_content(server: LiveServer) -> None:
    """As the list has it, and its text; the list has no text."""
    document_id = await add_document(server, "read.md", "# R\u00e9ad\n")
    one = (await server.http.get(f"{server.project}/documents/{document_id}")).json()
    listed = (await server.http.get(f"{server.project}/documents")).json()["documents"]
    assert one.pop("content") == "# R\u00e9ad\n"
    assert one in listed


async def test_download_is_a_file_that_no_browser_shows(server: LiveServer) -> None:
    """The content byte for byte, as an attachment of plain text under a safe name."""
    content = f"\u00fc\r\n{HOSTILE}\n"
    left = await leave(server, content, "text/html", title="../Pr\u00fcf: 1")
    answer = await server.http.get(f"{server.project}/artifacts/{left.artifact_id}/download")
    assert answer.content == content.encode()
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"prf-1.html\"; filename*=UTF-8''pr%C3%BCf-1.html"
    )


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/artifacts/{id}", "ARTIFACT_NOT_FOUND"),
        ("/documents/{id}", "DOCUMENT_NOT_FOUND"),
        ("/api/artifacts/{id}/download", "ARTIFACT_NOT_FOUND"),
        ("/api/documents/{id}", "DOCUMENT_NOT_FOUND"),
    ],
)
async def test_what_is_not_there_is_404_and_what_is_no_id_400(server: LiveServer, path: str, code: str) -> None:
    """Each with its code, on pages as in the API."""
    project = server.project if path.startswith("/api") else f"/projects/{server.home.project_id}"
    for given, expected in ((str(uuid4()), (404, code)), ("x", (400, "INVALID_ID"))):
        answer = await server.http.get(project + path.removeprefix("/api").format(id=given))
        assert (answer.status_code, answer.json()["error"]) == expected
