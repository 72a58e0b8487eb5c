"""The project page before any script: what it says of a run is what the snapshot says, in every state."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from html_tree import Element
from live import LiveServer, without_clock
from msgspec.structs import replace
from page_stage import HOSTILE, STATES, ShownPage, seed, seed_state, show
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures
from store_material import complete, new_run, running

from realtime.endpoints import page_data
from realtime.facts import icon_name, status_text
from realtime.wiring.adapters import to_snapshot

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARD_STATUS = {
    "queued": "queued",
    "running": "running",
    "completed": "complete",
    "failed": "error",
    "cancelled": "error",
}
BANNERS = {
    "failed": f"Business analyst failed: {HOSTILE}",
    "cancelled": "The run was cancelled.",
}


@pytest.fixture
def server(shared: LiveServer) -> LiveServer:  # noqa: F811
    """The server of this module."""
    return shared


@pytest.mark.parametrize("state", STATES)
async def test_page_of_a_run_says_what_its_snapshot_says(server: LiveServer, state: str) -> None:
    """Status, cards, figures, banner, title and icon, drawn and as data, are those of the run as REST has it."""
    run = await seed_state(server, state)
    page, snapshot = await show(server, run.id), await server.snapshot(run.id)
    assert without_clock(page.data["run"]) == without_clock(snapshot)
    assert not page.run.hidden
    drawn = [page.run[f"data-{name}"] for name in ("run-id", "status", "last-event-id")]
    assert drawn == [run.id, snapshot["status"], str(snapshot["last_event_id"])]
    assert page.part("status").text == status_text(snapshot["status"])
    assert [(card["data-step-id"], card["status"]) for card in page.cards] == [
        (step["id"], CARD_STATUS[step["status"]]) for step in snapshot["steps"]
    ]
    completed = [step for step in snapshot["steps"] if step["status"] == "completed"]
    percent = sum(step["progress_pct"] for step in snapshot["steps"]) // 3
    assert page.part("done").text == f"{len(completed)} of 3 · {percent} %"
    assert page.part("overall")["aria-valuenow"] == str(percent)
    assert page.part("overall").one("rect", class_="fill")["width"] == f"{percent}%"
    assert page.part("tokens").text == f"{snapshot['total_tokens']:,}"
    assert (page.part("elapsed").text == "–") is (snapshot["started_at"] is None)
    assert page.part("banner").hidden is (state not in BANNERS)
    assert page.part("banner").text == " ".join(BANNERS.get(state, "").split())
    assert status_text(snapshot["status"]) in page.title
    record = await server.home.store.runs.get_run(server.home.user.tenant, run.id)
    assert record is not None
    assert re.fullmatch(rf"/static/v-\w+/{icon_name(to_snapshot(record))}\.svg", page.icon or "")


async def test_page_of_a_run_has_its_timeline(server: LiveServer) -> None:
    """Every step has its line, every attempt its place on it, from the run's start to its end, and its words."""
    run = await seed_state(server, "failed")
    page = await show(server, run.id)
    lines = [line for line in page.part("timeline").children if isinstance(line, Element)]
    assert [line["data-step-id"] for line in lines] == [*run.step_ids]
    attempt = lines[0].one("rect")
    assert (attempt["data-outcome"], attempt["x"]) == ("failed", "0")
    assert lines[0].one("ol").text == "Attempt 1 · 0:00 · failed: no answer"
    assert [step["attempts"] for step in page.data["timeline"]][1:] == [[], []]


async def test_timeline_of_a_log_that_is_gone_or_too_long_is_what_the_snapshot_knows(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last attempt of each step that started stands for all of them; the page is there all the same."""
    run = new_run(server.home.project_id)
    await seed(server, running(run), replace(running(run), attempt=2), run=run)
    monkeypatch.setattr(page_data, "LOG_PAGE", 2)
    attempts = (await show(server, run.id)).data["timeline"][0]["attempts"]
    assert [(one["attempt"], one["outcome"]) for one in attempts] == [(1, "interrupted"), (2, "running")]
    monkeypatch.setattr(page_data, "LONGEST_LOG", 4)
    (known,) = (await show(server, run.id)).data["timeline"][0]["attempts"]
    assert known["attempt"] == 2
    monkeypatch.undo()

    async def read(*_: object) -> tuple[()]:
        return ()

    monkeypatch.setattr(server.home.backend.log, "read", read)
    assert (await show(server, run.id)).data["timeline"][0]["attempts"] == [known]


async def test_runs_are_listed_as_the_api_sums_them_up(server: LiveServer) -> None:
    """Newest first, with agents, progress and status; the one that is shown is marked."""
    run = await seed_state(server, "running")
    page = await show(server, run.id)
    rows = page.root.one(id="runs").all("li")
    runs = (await server.http.get(f"{server.project}/agent-runs?limit=20")).json()["runs"]
    assert [row["data-run-id"] for row in rows] == [one["id"] for one in runs]
    assert [one["id"] for one in page.data["runs"]] == [one["id"] for one in runs]
    first = rows[0]
    assert first.one(class_="path").text == "Business analyst, QA consultant, Test automation consultant"
    assert re.fullmatch(rf"\d\d:\d\d UTC · {run.id[:8]} · 1 of 3", first.one(class_="facts").text)
    assert first.one(class_="chip").attributes == {"class": "chip", "data-status": "running"}
    marked = [row["data-run-id"] for row in rows if row.all("a", aria_current="true")]
    assert marked == [run.id]


@pytest.mark.parametrize("role", ["owner", "viewer"])
@pytest.mark.parametrize("state", ["running", "failed"])
async def test_page_offers_what_the_role_may_and_the_run_allows(server: LiveServer, role: str, state: str) -> None:
    """Cancel while it runs, retry where it failed, for who may; who may not watch live is told so while it runs."""
    run = await seed_state(server, state)
    page = await show(server, run.id, await server.user_with_role(role, f"{role}@localhost"))
    may, runs = role == "owner", state == "running"
    assert page.part("cancel").hidden is not (may and runs)
    assert page.part("retry").hidden is not (may and not runs)
    assert page.part("not-live").hidden is not (not may and runs)
    assert page.part("connection").hidden is not (may and runs)
    assert [page.data[f"may_{action}"] for action in ("stream", "start", "cancel")] == [may] * 3
    assert bool(page.root.all(id="start")) is may
    offered = [button for button in page.root.one("main").all("button") if not button.hidden]
    assert all("disabled" in button.attributes for button in offered)


async def test_page_without_a_run_has_an_empty_place_for_one(server: LiveServer) -> None:
    """The section is there, hidden, for the script to fill; title and icon are those of the project."""
    page = await show(server)
    assert page.run.hidden
    assert page.cards == []
    assert (page.data["run"], page.data["timeline"], page.data["expected"]) == (None, [], None)
    assert page.title == f"Runs · {page.data['project_name']} · Runcast"
    assert re.fullmatch(r"/static/v-\w+/icon\.svg", page.icon or "")
    assert page.root.one("a", class_="brand").text == "Runcast"
    document = page.root.one(id="documents").one("li").one("a")
    assert document.one(class_="path").text == "docs/spec.md"
    assert (await server.http.get(f"{server.project}/documents")).json()["documents"][0]["id"] in document["href"]


async def test_run_of_another_project_has_no_page(server: LiveServer) -> None:
    """Under the address of this project it is not there, as little as one that never was."""
    accounts, user = server.home.store.accounts, server.home.user
    other = await accounts.ensure_project(user.tenant, "other", "Other")
    run = await seed(server, run=new_run(other.id))
    for run_id in (run.id, str(uuid4())):
        answer = await server.http.get(
            f"/projects/{server.home.project_id}/runs/{run_id}", headers={"Accept": "text/html"}
        )
        assert answer.status_code == 404
        assert "There is no such run." in answer.text


async def test_no_text_leaves_its_place(server: LiveServer) -> None:
    """Names, labels, messages and reasons from outside are text: the page has its own scripts and no other."""
    accounts, user = server.home.store.accounts, server.home.user
    project = await accounts.ensure_project(user.tenant, "hostile", HOSTILE)
    await accounts.set_member(user.tenant, project.id, user.id, "owner")
    run = new_run(project.id)
    hostile = [
        replace(running(run, 0), progress_label=HOSTILE),
        replace(running(run, 1), progress_label=HOSTILE, reason=HOSTILE, retry_at="2026-01-02T03:04:05.000Z"),
        complete(run, 2),
    ]
    await seed(server, *hostile, run=run)
    documents = [(f"{HOSTILE.replace('/', '')}.md", b"# Text\n")]
    await server.home.backend.runs.add_documents(user.tenant, project.id, documents, user.id)
    answer = await server.http.get(f"/projects/{project.id}/runs/{run.id}", headers={"Accept": "text/html"})
    page = ShownPage(answer.text)
    entry, data = page.root.all("script")
    assert re.fullmatch(r"/static/v-\w+/page/project\.js", entry["src"] or "")
    assert "src" not in data.attributes
    assert page.data["project_name"] == HOSTILE
    assert page.data["run"]["steps"][0]["progress_label"] == HOSTILE
    assert page.cards[0]["label"] == HOSTILE
    assert page.root.all("b") == []
    assert HOSTILE not in answer.text
    assert "\u2028" not in page.root.one("script", id="page-data").text
    assert not any(name.startswith("on") for tag in page.root.all() for name in tag.attributes)
