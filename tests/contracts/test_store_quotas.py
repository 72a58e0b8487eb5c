"""What a tenant and a user may have at a time, counted in the transaction that uses it up."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from store_material import Project, new_run, open_project

from orchestrator.errors import ProjectTooLargeError, QuotaExceededError
from orchestrator.events import RunEnded
from orchestrator.records import NO_QUOTA, NewRun, Quota
from orchestrator.store import quotas
from orchestrator.store.quotas import VERSION_BYTES


def _run_of(project: Project, user_id: str) -> NewRun:
    return msgspec.structs.replace(new_run(project.id), started_by=user_id)


async def _accepted(project: Project, quota: Quota, *users: str) -> list[NewRun]:
    """The runs of these users that were accepted, asked for all at once."""
    runs = [_run_of(project, user) for user in users]
    answers = await asyncio.gather(
        *(project.store.runs.accept_run(project.tenant, run, quota) for run in runs), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(answer, QuotaExceededError) for answer in refused)
    return [run for run, answer in zip(runs, answers, strict=True) if not isinstance(answer, BaseException)]


async def test_runs_accepted_at_once_are_never_more_than_the_quota(project: Project) -> None:
    """However many ask in the same moment, those accepted are exactly as many as there was room for."""
    accepted = await _accepted(project, Quota(tenant=3), *["someone"] * 12)
    assert len(accepted) == 3
    assert len(await project.store.runs.unfinished_runs()) == 3


async def test_runs_of_one_user_leave_room_for_others(project: Project) -> None:
    """The user's quota is the user's: others of the tenant go on, until the tenant's is used up."""
    quota = Quota(tenant=3, user=2)
    assert len(await _accepted(project, quota, *["first"] * 4)) == 2
    assert len(await _accepted(project, quota, *["second"] * 4)) == 1
    with pytest.raises(QuotaExceededError) as refused:
        await project.store.runs.accept_run(project.tenant, _run_of(project, "third"), quota)
    assert (refused.value.resource, refused.value.scope, refused.value.limit) == ("runs", "tenant", 3)


async def test_run_that_ended_makes_room(project: Project) -> None:
    """Only unfinished runs count; and asking again for one that was accepted needs no room."""
    quota = Quota(tenant=1)
    (run,) = await _accepted(project, quota, "someone")
    again = await project.store.runs.accept_run(project.tenant, run, quota)
    assert again.events == ()
    assert await _accepted(project, quota, "someone") == []
    await project.store.runs.claim_run(project.tenant, run.id, "mine")
    await project.save(run, RunEnded.failure(run.id, "INTERRUPTED", "the test ended it"))
    assert len(await _accepted(project, quota, "someone")) == 1


async def test_tenants_have_quotas_of_their_own(project: Project) -> None:
    """One tenant's runs take no room from another's."""
    other = await open_project(project.store, "globex")
    quota = Quota(tenant=1, user=1)
    assert len(await _accepted(project, quota, "someone")) == 1
    assert len(await _accepted(other, quota, "someone")) == 1


async def test_documents_count_with_all_versions_until_they_are_deleted(project: Project) -> None:
    """Each version that is kept takes its bytes; equal text takes none; a deletion gives all of them back."""
    documents, quota = project.store.documents, Quota(tenant=100 + 2 * VERSION_BYTES)

    async def add(path: str, text: str) -> str:
        (kept,) = await documents.add_documents(project.tenant, project.id, [(path, text)], "someone", quota)
        return kept.id

    kept = await add("a.md", "ä" * 20)
    await add("a.md", "ä" * 20)
    await add("a.md", "b" * 40)
    with pytest.raises(QuotaExceededError) as refused:
        await add("a.md", "c" * 40)
    assert (refused.value.resource, refused.value.scope) == ("document_bytes", "tenant")
    (listed,) = await documents.list_documents(project.tenant, project.id, with_text=True)
    assert (listed.version, listed.text) == (2, "b" * 40)
    await documents.delete_document(project.tenant, project.id, kept)
    await add("a.md", "d" * (100 + VERSION_BYTES))


async def test_documents_of_one_user_leave_room_for_others(project: Project) -> None:
    """Bytes are those of whoever added the version."""
    documents, quota = project.store.documents, Quota(tenant=100 + 2 * VERSION_BYTES, user=50 + VERSION_BYTES)
    for user in ("first", "second"):
        await documents.add_documents(project.tenant, project.id, [(f"{user}.md", "x" * 50)], user, quota)
        with pytest.raises(QuotaExceededError):
            await documents.add_documents(project.tenant, project.id, [("more.md", "x")], user, quota)


async def test_documents_added_at_once_are_never_more_than_the_quota(project: Project) -> None:
    """Uploads of the same moment cannot pass together what one of them could not."""
    documents, quota = project.store.documents, Quota(tenant=3 * (30 + VERSION_BYTES) + 10)
    answers = await asyncio.gather(
        *(
            documents.add_documents(project.tenant, project.id, [(f"{number}.md", "x" * 30)], "someone", quota)
            for number in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 3
    assert len(await documents.list_documents(project.tenant, project.id)) == 3


async def test_many_tiny_versions_are_counted_for_the_room_of_their_rows(project: Project) -> None:
    """Versions of one byte use up a quota too, by what each takes beside its text."""
    documents, quota = project.store.documents, Quota(user=10 * (VERSION_BYTES + 1))
    files = [(f"{number}.md", "x") for number in range(10)]
    await documents.add_documents(project.tenant, project.id, files, "someone", quota)
    with pytest.raises(QuotaExceededError):
        await documents.add_documents(project.tenant, project.id, [("0.md", "y")], "someone", quota)


async def test_documents_of_one_upload_are_told_in_its_order(project: Project) -> None:
    """In whatever order they are kept, the answer has that of the request, also where a path comes twice."""
    files = [("b.md", "one"), ("a.md", "x"), ("b.md", "two")]
    kept = await project.store.documents.add_documents(project.tenant, project.id, files)
    assert [(it.path, it.version) for it in kept] == [("b.md", 1), ("a.md", 1), ("b.md", 2)]


@pytest.mark.parametrize("quota", [NO_QUOTA, Quota(tenant=10**9)], ids=["unlimited", "limited"])
async def test_documents_of_a_project_are_never_more_than_a_run_can_hold(
    project: Project, monkeypatch: pytest.MonkeyPatch, quota: Quota
) -> None:
    """Newest versions count, also of uploads at once; deleting makes room; each project has its own."""
    monkeypatch.setattr(quotas, "MAX_PROJECT_BYTES", 100)
    documents, other = project.store.documents, await open_project(project.store, slug="other")

    async def add(name: str, size: int, letter: str = "x", project_id: str = project.id) -> str:
        files = [(name, letter * size)]
        (kept,) = await documents.add_documents(project.tenant, project_id, files, "someone", quota)
        return kept.id

    answers = await asyncio.gather(*(add(f"{number}.md", 30) for number in range(8)), return_exceptions=True)
    kept = [answer for answer in answers if isinstance(answer, str)]
    assert len(kept) == len(await documents.list_documents(project.tenant, project.id)) == 3
    assert sum(isinstance(answer, ProjectTooLargeError) for answer in answers) == 5
    with pytest.raises(ProjectTooLargeError, match=r"would have 101 bytes; expected at most 100\."):
        await add("more.md", 11)
    await add("more.md", 10)
    await add("more.md", 10, "y")
    await add("more.md", 100, project_id=other.id)
    await documents.delete_document(project.tenant, project.id, kept[0])
    await add("again.md", 30)
