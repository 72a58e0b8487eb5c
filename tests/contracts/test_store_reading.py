from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest
from store_material import TENANT, Project, artifact, complete, done, new_run, open_project, running, without_ages

from orchestrator.errors import ClaimLostError, InvalidSlugError
from orchestrator.records import NewRun, RunRecord, SavedEvent
from orchestrator.store import Store


async def test_get_run_while_it_is_written_is_never_torn(project: Project) -> None:
    """Each of many reads during writes is one snapshot: run row, head and steps belong to the same save."""
    run = await project.accept()
    writing = asyncio.create_task(_write(project, run, 120))
    seen: list[RunRecord] = []
    while not writing.done():
        seen += await asyncio.gather(*(project.get(run) for _ in range(4)))
    await writing
    for record in seen:
        percent = max(0, record.last_event_id - 3) // 3
        assert [step.progress_pct for step in record.steps] == [percent] * 3
    assert len({record.last_event_id for record in seen}) > 3


async def _write(project: Project, run: NewRun, saves: int) -> None:
    for percent in range(1, saves + 1):
        await project.save(run, *(running(run, step, percent) for step in range(3)))


async def test_read_events_after_and_limit_give_that_part(project: Project) -> None:
    """A reader gets what is after its cursor, in order, up to its limit; odd numbers give nothing, not an error."""
    run = await project.accept()
    await project.save(run, *(running(run, percent=percent) for percent in range(10)))
    read = project.store.runs.read_events

    def ids(events: tuple[SavedEvent, ...]) -> list[int]:
        return [event.id for event in events]

    assert ids(await read(TENANT, run.id, 4, 3)) == [5, 6, 7]
    assert ids(await read(TENANT, run.id, -5, 2)) == [1, 2]
    assert ids(await read(TENANT, run.id, 13)) == []
    assert ids(await read(TENANT, run.id, 2**80)) == []
    assert ids(await read(TENANT, run.id, 0, -1)) == []
    assert ids(await read(TENANT, run.id, 0, 2**80)) == list(range(1, 14))
    assert ids(await read(TENANT, str(uuid4()), 0)) == []
    assert ids(await read("nobody", run.id, 0)) == []


async def test_heads_of_some_runs_names_those_that_exist(project: Project) -> None:
    """Heads are those of the tenant's own runs, also for more ids than fit into one question."""
    runs = [await project.accept() for _ in range(3)]
    await project.save(runs[0], running(runs[0]))
    ids = [run.id for run in runs] + [str(uuid4()) for _ in range(1200)]
    expected = {runs[0].id: 4, runs[1].id: 3, runs[2].id: 3}
    assert await project.store.runs.heads(TENANT, ids) == expected
    assert await project.store.runs.heads(TENANT, []) == {}
    assert await project.store.runs.heads("nobody", ids) == {}


async def test_newest_heads_are_those_of_each_projects_newest_runs(project: Project) -> None:
    """So many of each project that has any, with their newest event ids; nothing of another project or tenant."""
    other = await open_project(project.store, slug="other")

    async def heads(limit: int = 2) -> dict[str, dict[str, int]]:
        return await project.store.runs.newest_heads(TENANT, [project.id, other.id, str(uuid4())], limit)

    assert await heads() == {}
    runs = [await project.accept() for _ in range(3)]
    theirs = await other.accept()
    newest = [run.id for run in await project.store.runs.list_runs(TENANT, project.id, 2)]
    assert await heads() == {project.id: dict.fromkeys(newest, 3), other.id: {theirs.id: 3}}
    moved = next(run for run in runs if run.id == newest[0])
    await project.save(moved, running(moved))
    assert await heads(1) == {project.id: {moved.id: 4}, other.id: {theirs.id: 3}}
    many = [str(uuid4()) for _ in range(150)]
    assert await project.store.runs.newest_heads(TENANT, [*many, other.id], 2) == {other.id: {theirs.id: 3}}
    assert await project.store.runs.newest_heads(TENANT, [], 2) == {}
    assert await project.store.runs.newest_heads("nobody", [project.id], 2) == {}


async def test_list_runs_by_page_gives_each_once_newest_first(project: Project) -> None:
    """Pages joined by ``before`` hold every run of the project once, newest first, also those of one millisecond."""
    other = await open_project(project.store, slug="other")
    await other.accept()
    runs = await asyncio.gather(*(project.accept() for _ in range(11)))
    listed: list[RunRecord] = []
    while page := await project.store.runs.list_runs(TENANT, project.id, 4, listed[-1].id if listed else None):
        listed += page
    assert sorted(record.id for record in listed) == sorted(run.id for run in runs)
    assert [record.created_at for record in listed] == sorted((it.created_at for it in listed), reverse=True)
    newest = await project.store.runs.get_run(TENANT, listed[0].id)
    assert newest is not None
    assert without_ages(listed[0]) == without_ages(newest)


async def test_list_runs_odd_arguments_give_nothing(project: Project) -> None:
    """An unknown project, tenant or page, and a limit below one, have no runs."""
    run = await project.accept()
    other = await open_project(project.store, slug="other")
    list_runs = project.store.runs.list_runs
    assert await list_runs(TENANT, str(uuid4())) == ()
    assert await list_runs("nobody", project.id) == ()
    assert await list_runs(TENANT, project.id, 50, str(uuid4())) == ()
    assert await list_runs(TENANT, other.id, 50, run.id) == ()
    assert await list_runs(TENANT, project.id, 0) == ()
    assert await list_runs(TENANT, project.id, -1) == ()
    assert len(await list_runs(TENANT, project.id, 2**80)) == 1


async def test_unfinished_runs_of_all_tenants_oldest_first(project: Project) -> None:
    """After a restart, every run of every tenant that has not ended is found, in the order of acceptance."""
    acme = await open_project(project.store, "acme")
    expected = []
    for place in (project, acme, project):
        expected.append((place.tenant, (await place.accept()).id))
        await asyncio.sleep(0.003)  # another millisecond on the store's clock
    ended = await acme.accept()
    await acme.save(ended, done(ended))
    assert list(await project.store.runs.unfinished_runs()) == expected


async def test_runs_of_another_tenant_are_out_of_reach(project: Project) -> None:
    """The same run id may exist in two tenants; each sees and writes only its own."""
    acme = await open_project(project.store, "acme")
    run = await project.accept()
    assert await project.store.runs.get_run("acme", run.id) is None
    with pytest.raises(ClaimLostError):
        await project.store.runs.save("acme", run.id, "mine", [running(run)])
    twin = new_run(acme.id, run_id=run.id)
    assert len((await project.store.runs.accept_run("acme", twin)).events) == 3
    await project.save(run, running(run))
    assert (await project.store.runs.heads("acme", [run.id]))[run.id] == 3


@pytest.mark.parametrize("slug", ["", "Demo", "1demo", 'x"; DROP', "../demo", "demo\n", "a" * 42, "tenant-x", "é"])
async def test_tenant_that_is_no_slug_is_refused(store: Store, slug: str) -> None:
    """A slug that could be more than a name never gets near SQL or a file's name."""
    with pytest.raises(InvalidSlugError):
        await store.accounts.ensure_tenant(slug)
    with pytest.raises(InvalidSlugError):
        await store.runs.get_run(slug, str(uuid4()))


async def test_artifacts_of_a_run_belong_to_its_project(project: Project) -> None:
    """Artifacts are found by project, newest first, and not from another project or tenant."""
    other = await open_project(project.store, slug="other")
    run = await project.accept()
    kept = []
    for step in range(2):
        left = artifact(run, step)
        events = await project.store.runs.save(TENANT, run.id, "mine", [complete(run, step)], [left])
        at = msgspec.json.decode(events[0].payload)["at"]
        kept.insert(0, msgspec.structs.replace(left, created_at=at))
        await asyncio.sleep(0.003)  # another millisecond on the store's clock
    runs = project.store.runs
    assert list(await runs.list_artifacts(TENANT, project.id, with_content=True)) == kept
    assert list(await runs.list_artifacts(TENANT, project.id, run.id, with_content=True)) == kept
    assert list(await runs.list_artifacts(TENANT, project.id, limit=1, with_content=True)) == kept[:1]
    assert await runs.list_artifacts(TENANT, project.id, str(uuid4())) == ()
    assert await runs.list_artifacts(TENANT, other.id, run.id) == ()
    assert await runs.list_artifacts("nobody", project.id) == ()
    assert await runs.get_artifact(TENANT, project.id, kept[0].id) == kept[0]
    assert await runs.get_artifact(TENANT, other.id, kept[0].id) is None
    assert await runs.get_artifact(TENANT, project.id, "none") is None
    assert await runs.get_artifact("nobody", project.id, kept[0].id) is None


async def test_list_artifacts_reads_content_only_where_asked(project: Project) -> None:
    """Unless asked for, the content is empty; everything else is the same."""
    run = await project.accept()
    await project.store.runs.save(TENANT, run.id, "mine", [complete(run)], [artifact(run)])
    for of_run in (None, run.id):
        whole = await project.store.runs.list_artifacts(TENANT, project.id, of_run, with_content=True)
        assert [each.content for each in whole] == ["# Matrix\n"]
        listed = await project.store.runs.list_artifacts(TENANT, project.id, of_run)
        assert listed == tuple(msgspec.structs.replace(each, content="") for each in whole)


async def test_artifact_of_another_run_is_kept_with_the_claimed_one(project: Project) -> None:
    """A claim is the right to one run: an artifact saved under it belongs to that run, whatever it says."""
    run, other = await project.accept(), await project.accept(token="theirs")
    await project.store.runs.save(TENANT, run.id, "mine", [], [artifact(other)])
    assert await project.store.runs.list_artifacts(TENANT, project.id, other.id) == ()
    assert len(await project.store.runs.list_artifacts(TENANT, project.id, run.id)) == 1


@pytest.mark.parametrize("odd", ["\0", "\ud800", "a\0b"])
async def test_lookup_of_what_no_store_can_keep_finds_nothing(project: Project, odd: str) -> None:
    """An id or address with a NUL or half a surrogate pair is nobody's: every lookup says so, and none fails."""
    store = project.store
    assert await store.runs.get_run(TENANT, odd) is None
    assert await store.runs.claim_run(TENANT, odd, "mine") is None
    assert await store.runs.heads(TENANT, [odd]) == {}
    assert await store.runs.read_events(TENANT, odd, 0) == ()
    assert await store.runs.list_runs(TENANT, odd) == ()
    assert await store.runs.list_runs(TENANT, project.id, 5, odd) == ()
    assert await store.runs.get_artifact(TENANT, project.id, odd) is None
    assert await store.documents.list_documents(TENANT, odd) == ()
    assert not await store.documents.delete_document(TENANT, project.id, odd)
    assert await store.accounts.get_project(TENANT, odd) is None
    assert await store.accounts.find_user(TENANT, f"a@{odd}") is None
    assert await store.accounts.get_role(TENANT, odd, odd) is None
    assert await store.acks.get_ack(TENANT, odd, odd, odd) is None
    assert await store.codes.spend_code(odd) is None
