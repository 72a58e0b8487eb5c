"""What a tenant and a user may have at a time, counted in the transaction that uses it up."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from store_material import Project, new_run, open_project

from orchestrator.errors import QuotaExceededError
from orchestrator.events import RunEnded
from orchestrator.records import NewRun, Quota


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
    documents, quota = project.store.documents, Quota(tenant=100)

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
    await add("a.md", "d" * 100)


async def test_documents_of_one_user_leave_room_for_others(project: Project) -> None:
    """Bytes are those of whoever added the version."""
    documents, quota = project.store.documents, Quota(tenant=100, user=50)
    for user in ("first", "second"):
        await documents.add_documents(project.tenant, project.id, [(f"{user}.md", "x" * 50)], user, quota)
        with pytest.raises(QuotaExceededError):
            await documents.add_documents(project.tenant, project.id, [("more.md", "x")], user, quota)


async def test_documents_added_at_once_are_never_more_than_the_quota(project: Project) -> None:
    """Uploads of the same moment cannot pass together what one of them could not."""
    documents, quota = project.store.documents, Quota(tenant=100)
    answers = await asyncio.gather(
        *(
            documents.add_documents(project.tenant, project.id, [(f"{number}.md", "x" * 30)], "someone", quota)
            for number in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 3
    assert len(await documents.list_documents(project.tenant, project.id)) == 3
