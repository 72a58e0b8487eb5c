from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from store_material import TENANT, Project, open_project

from orchestrator.errors import InvalidRequestError, InvalidSlugError, ProjectNotFoundError, StoreError
from orchestrator.store import Store
from orchestrator.store.accounts import UserNotFoundError


async def test_ensure_twice_or_at_once_gives_the_same(store: Store) -> None:
    """Tenant, project and user are there once, however often and at once they are asked for."""
    accounts = store.accounts
    await asyncio.gather(*(accounts.ensure_tenant("demo") for _ in range(5)))
    projects = await asyncio.gather(*(accounts.ensure_project("demo", "web-shop", f"Shop {n}") for n in range(5)))
    users = await asyncio.gather(*(accounts.ensure_user("demo", mail) for mail in ("a@b.c", "A@B.c ", "a@b.C")))
    assert await accounts.list_tenants() == ("demo",)
    assert len(set(projects)) == 1
    assert len(set(users)) == 1
    assert await accounts.get_project("demo", projects[0].id) == projects[0]
    assert await accounts.get_project("demo", str(uuid4())) is None
    assert await accounts.get_project("nobody", projects[0].id) is None


async def test_ensure_in_unknown_tenant_or_with_bad_names_is_refused(project: Project) -> None:
    """Projects and users need a tenant, a slug and an address."""
    accounts = project.store.accounts
    with pytest.raises(ProjectNotFoundError):
        await accounts.ensure_project("nobody", "web", "Web")
    with pytest.raises(ProjectNotFoundError):
        await accounts.ensure_user("nobody", "a@b.c")
    for slug in ("", "Web", "a b", "../x", "-x", "x" * 64):
        with pytest.raises(InvalidSlugError):
            await accounts.ensure_project(TENANT, slug, "Web")
    for address in ("", "a", "@b.c", "a@", "a\0@b.c", "a@\ud800"):
        with pytest.raises(InvalidRequestError):
            await accounts.ensure_user(TENANT, address)


async def test_find_user_is_of_that_tenant(project: Project) -> None:
    """A user is found by address, in any case, in the own tenant only."""
    accounts = project.store.accounts
    await open_project(project.store, "acme")
    user = await accounts.ensure_user(TENANT, "Lead@Example.org")
    assert user.email == "lead@example.org"
    assert await accounts.find_user(TENANT, "LEAD@example.org") == user
    assert await accounts.find_user("acme", user.email) is None
    assert await accounts.find_user(TENANT, "other@example.org") is None


async def test_set_member_again_changes_the_role(project: Project) -> None:
    """A member has one role per project, the last that was set; in other projects and tenants none."""
    accounts = project.store.accounts
    other = await open_project(project.store, slug="also")
    user = await accounts.ensure_user(TENANT, "a@b.c")
    assert await accounts.get_role(TENANT, project.id, user.id) is None
    await accounts.set_member(TENANT, project.id, user.id, "owner")
    await accounts.set_member(TENANT, project.id, user.id, "admin")
    assert await accounts.get_role(TENANT, project.id, user.id) == "admin"
    assert await accounts.get_role(TENANT, other.id, user.id) is None
    assert await accounts.get_role("acme", project.id, user.id) is None
    await accounts.set_member(TENANT, other.id, user.id, "qa-automation")
    memberships = await accounts.list_projects(TENANT, user.id)
    assert [(it.project.slug, it.project.name, it.role) for it in memberships] == [
        ("also", "Also", "qa-automation"),
        ("web", "Web", "admin"),
    ]
    assert await accounts.list_projects("nobody", user.id) == ()


async def test_set_member_of_unknown_project_or_user_is_refused(project: Project) -> None:
    """A membership joins a project and a user of the same tenant."""
    accounts = project.store.accounts
    acme = await open_project(project.store, "acme")
    user = await accounts.ensure_user(TENANT, "a@b.c")
    with pytest.raises(ProjectNotFoundError):
        await accounts.set_member(TENANT, acme.id, user.id, "owner")
    with pytest.raises(UserNotFoundError):
        await accounts.set_member("acme", acme.id, user.id, "owner")


async def test_spend_code_works_once(project: Project) -> None:
    """Of ten who spend one code at the same moment, one is the user; afterwards nobody is."""
    accounts = project.store.accounts
    user = await accounts.ensure_user(TENANT, "a@b.c")
    await project.store.codes.add_code("hash", TENANT, user.id, 60)
    spent = await asyncio.gather(*(project.store.codes.spend_code("hash") for _ in range(10)))
    assert [it for it in spent if it is not None] == [user]
    assert await project.store.codes.spend_code("hash") is None
    assert await project.store.codes.spend_code("other") is None


async def test_spend_code_after_its_time_is_refused(project: Project) -> None:
    """A code lives for its time only; others go on living when it is forgotten."""
    accounts = project.store.accounts
    user = await accounts.ensure_user(TENANT, "a@b.c")
    await project.store.codes.add_code("short", TENANT, user.id, 0.001)
    await project.store.codes.add_code("long", TENANT, user.id, 60)
    await asyncio.sleep(0.01)  # past the end of the first
    assert await project.store.codes.spend_code("short") is None
    assert await project.store.codes.spend_code("long") == user


async def test_add_code_for_unknown_user_or_taken_hash_is_refused(project: Project) -> None:
    """A code belongs to one user who exists, and no second code takes its place."""
    accounts = project.store.accounts
    user = await accounts.ensure_user(TENANT, "a@b.c")
    other = await accounts.ensure_user(TENANT, "x@y.z")
    with pytest.raises(UserNotFoundError):
        await project.store.codes.add_code("hash", "acme", user.id, 60)
    await project.store.codes.add_code("hash", TENANT, user.id, 60)
    with pytest.raises(StoreError):
        await project.store.codes.add_code("hash", TENANT, other.id, 60)
    assert await project.store.codes.spend_code("hash") == user
