from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest
from store_material import TENANT, Project, open_project

from orchestrator.errors import InvalidDocumentError, ProjectNotFoundError
from orchestrator.records import Document


async def add(project: Project, path: str, text: str) -> Document:
    """One document, added by itself."""
    (kept,) = await project.store.documents.add_documents(TENANT, project.id, [(path, text)])
    return kept


async def test_add_document_again_makes_the_next_version(project: Project) -> None:
    """Other text under the same path is the next version of the same document, and the one that is listed."""
    documents = project.store.documents
    first = await add(project, "spec/login.md", "Ünïcode")
    second = await add(project, "spec/login.md", "two")
    assert (first.version, first.size, second.version, second.size) == (1, 9, 2, 3)
    assert first.id == second.id
    assert await documents.list_documents(TENANT, project.id) == (second,)
    (listed,) = await documents.list_documents(TENANT, project.id, with_text=True)
    assert listed == msgspec.structs.replace(second, text="two")


async def test_add_document_equal_text_is_the_same_version(project: Project) -> None:
    """The text that is already the newest makes no version; an earlier text does."""
    first = await add(project, "a.md", "one")
    assert await add(project, "a.md", "one") == first
    await add(project, "a.md", "two")
    assert (await add(project, "a.md", "one")).version == 3


async def test_add_document_at_once_loses_no_version(project: Project) -> None:
    """Ten different texts under one path at the same moment are ten versions of one document."""
    added = await asyncio.gather(*(add(project, "a.md", f"text {number}") for number in range(10)))
    assert sorted(document.version for document in added) == list(range(1, 11))
    assert len({document.id for document in added}) == 1


async def test_add_documents_unknown_project_or_tenant_is_refused(project: Project) -> None:
    """A document needs a project of the tenant."""
    acme = await open_project(project.store, "acme")
    for tenant, project_id in ((TENANT, str(uuid4())), ("nobody", project.id), (TENANT, acme.id)):
        with pytest.raises(ProjectNotFoundError):
            await project.store.documents.add_documents(tenant, project_id, [("a.md", "one")])


@pytest.mark.parametrize(
    ("path", "text"), [("a.md", "\ud800"), ("a.md", "one\0"), ("\ud800.md", "one"), ("\0", "one")]
)
async def test_add_documents_path_or_text_that_cannot_be_kept_is_refused(
    project: Project, path: str, text: str
) -> None:
    """NUL and half of a surrogate pair cannot be stored: nothing is kept, nor are the documents that came with it."""
    before = await add(project, "c.md", "one")
    with pytest.raises(InvalidDocumentError):
        await project.store.documents.add_documents(
            TENANT, project.id, [("b.md", "one"), ("c.md", "two"), (path, text)]
        )
    assert await project.store.documents.list_documents(TENANT, project.id) == (before,)


async def test_add_documents_keeps_each_in_order(project: Project) -> None:
    """The answer has one document for each that was given; a path given twice has two versions, in that order."""
    given = [("b.md", "one"), ("a.md", "two"), ("b.md", "three"), ("b.md", "three")]
    kept = await project.store.documents.add_documents(TENANT, project.id, given)
    assert [(document.path, document.version) for document in kept] == [
        ("b.md", 1), ("a.md", 1), ("b.md", 2), ("b.md", 2),
    ]  # fmt: skip
    assert await project.store.documents.list_documents(TENANT, project.id) == (kept[1], kept[2])
    assert await project.store.documents.add_documents(TENANT, project.id, []) == ()


async def test_list_documents_is_by_path_and_of_that_project(project: Project) -> None:
    """Documents are listed in the order of their paths' code points; other projects' are not."""
    other = await open_project(project.store, slug="other")
    for place, path in (
        (project, "b.md"),
        (project, "B.md"),
        (project, "a-z.md"),
        (project, "a.md"),
        (other, "c.md"),
    ):
        await add(place, path, path)
    listed = await project.store.documents.list_documents(TENANT, project.id)
    assert [document.path for document in listed] == ["B.md", "a-z.md", "a.md", "b.md"]
    assert await project.store.documents.list_documents("nobody", project.id) == ()


async def test_list_documents_by_page_gives_each_once(project: Project) -> None:
    """Pages joined by ``after`` hold every document once, in the order of code points, as does the whole list."""
    documents = project.store.documents
    paths = sorted(["B.md", "a-z.md", "a.md", "b.md", "\u00e9.md", "z.md", "\U0001f600.md", "\uff5e.md", "a/b.md"])
    await documents.add_documents(TENANT, project.id, [(path, path) for path in reversed(paths)])
    listed: list[Document] = []
    while page := await documents.list_documents(TENANT, project.id, 4, listed[-1].path if listed else ""):
        listed += page
    assert [document.path for document in listed] == paths
    assert await documents.list_documents(TENANT, project.id) == tuple(listed)
    (last,) = await documents.list_documents(TENANT, project.id, 4, paths[-2], with_text=True)
    assert last == msgspec.structs.replace(listed[-1], text=paths[-1])
    assert await documents.list_documents(TENANT, project.id, -1) == ()
    after_what_is_no_text = await documents.list_documents(TENANT, project.id, 2**80, "\ud800\0")
    assert [document.path for document in after_what_is_no_text] == paths[-1:]


async def test_count_documents_counts_each_once(project: Project) -> None:
    """However many versions it has; those of other projects and tenants do not count."""
    other = await open_project(project.store, slug="other")
    for place, path, text in ((project, "a.md", "one"), (project, "a.md", "two"), (other, "a.md", "one")):
        await add(place, path, text)
    await add(project, "b.md", "one")
    count = project.store.documents.count_documents
    assert await count(TENANT, project.id) == 2
    assert await count("nobody", project.id) == 0


async def test_delete_document_removes_it_with_its_versions(project: Project) -> None:
    """What is deleted is gone; the same path later is another document, at version 1."""
    documents = project.store.documents
    other = await open_project(project.store, slug="other")
    kept = await add(project, "kept.md", "kept")
    document = await add(project, "a.md", "one")
    await add(project, "a.md", "two")
    assert not await documents.delete_document(TENANT, other.id, document.id)
    assert not await documents.delete_document("nobody", project.id, document.id)
    assert await documents.delete_document(TENANT, project.id, document.id)
    assert not await documents.delete_document(TENANT, project.id, document.id)
    assert await documents.list_documents(TENANT, project.id) == (kept,)
    again = await add(project, "a.md", "two")
    assert again.version == 1
    assert again.id != document.id


async def test_get_document_is_its_newest_version_with_text(project: Project) -> None:
    """One document has the text of its newest version; of another project, deleted or unknown, there is none."""
    documents = project.store.documents
    other = await open_project(project.store, slug="other")
    await add(project, "spec/login.md", "one")
    newest = await add(project, "spec/login.md", "two\n")
    await add(project, "b.md", "three")
    assert await documents.get_document(TENANT, project.id, newest.id) == msgspec.structs.replace(
        newest, text="two\n"
    )
    assert await documents.get_document(TENANT, other.id, newest.id) is None
    assert await documents.get_document("nobody", project.id, newest.id) is None
    assert await documents.get_document(TENANT, project.id, str(uuid4())) is None
    await documents.delete_document(TENANT, project.id, newest.id)
    assert await documents.get_document(TENANT, project.id, newest.id) is None
