"""Whom a command acts for: a user by name, found in the store, with the role that the work needs."""

from __future__ import annotations

import msgspec

from orchestrator.store import Store
from orchestrator.store.accounts import ProjectRecord
from realtime.ports import User
from realtime.roles import PERMISSIONS, Action, Role, may


class Caller(msgspec.Struct, frozen=True):
    """A user, and the project that they mean, as people name them; no project: the only one that the user is in."""

    tenant: str
    email: str
    project: str | None = None


LOCAL = Caller("demo", "owner@localhost", "demo")
"""Who is meant where nobody is named. They are made as soon as they are needed."""


class Seat(msgspec.Struct, frozen=True):
    """A user, and the project that they work in."""

    user: User
    project_id: str


class MissingError(Exception):
    """A tenant, project, user or role that is needed is not there.

    ``remedy`` has the arguments of the command ``runcast`` with which an administrator sees to it.
    """

    def __init__(self, text: str, *remedy: str) -> None:
        super().__init__(text)
        self.remedy = remedy


async def ensure_local(store: Store) -> Seat:
    """The local user in the local project, made where missing; a role that was changed stays as it is."""
    await store.accounts.ensure_tenant(LOCAL.tenant)
    project = await store.accounts.ensure_project(LOCAL.tenant, str(LOCAL.project), "Demo")
    record = await store.accounts.ensure_user(LOCAL.tenant, LOCAL.email)
    if await store.accounts.get_role(LOCAL.tenant, project.id, record.id) is None:
        await store.accounts.set_member(LOCAL.tenant, project.id, record.id, Role.OWNER)
    return Seat(User(tenant=record.tenant, id=record.id, email=record.email), project.id)


async def find_local(store: Store) -> Seat | None:
    """The local user in the local project; None: nobody has made them here."""
    record = await store.accounts.find_user(LOCAL.tenant, LOCAL.email)
    project = await store.accounts.find_project(LOCAL.tenant, str(LOCAL.project))
    if record is None or project is None:
        return None
    return Seat(User(tenant=record.tenant, id=record.id, email=record.email), project.id)


async def find_user(store: Store, caller: Caller) -> User:
    """The user whom ``caller`` names; the local one is made where missing.

    Raises:
        MissingError: there is no such tenant or user.

    """
    if caller == LOCAL:
        return (await ensure_local(store)).user
    await check_tenant(store, caller.tenant)
    record = await store.accounts.find_user(caller.tenant, caller.email)
    if record is None:
        raise MissingError(
            f"Tenant {caller.tenant} has no user {caller.email}", *_set_member(caller, caller.project or "PROJECT")
        )
    return User(tenant=record.tenant, id=record.id, email=record.email)


async def find_seat(store: Store, caller: Caller, action: Action) -> Seat:
    """The user and the project that ``caller`` names, where the user may do ``action``.

    Raises:
        MissingError: there is no such tenant, user or project, the user's role does not allow it, or no project is
            named and the user is not in exactly one.

    """
    seat = await (ensure_local(store) if caller == LOCAL else _named_seat(store, caller))
    await check_role(store, seat, action)
    return seat


async def check_role(store: Store, seat: Seat, action: Action) -> None:
    """Return where the user may do ``action`` in the project.

    Raises:
        MissingError: they may not; the text tells which roles may.

    """
    user = seat.user
    role = await store.accounts.get_role(user.tenant, seat.project_id, user.id)
    if may(role, action):
        return
    project = await store.accounts.get_project(user.tenant, seat.project_id)
    slug = "PROJECT" if project is None else project.slug
    has = "is no member of" if role is None else f"is {role} in"
    allowed = ", ".join(sorted(PERMISSIONS[action]))
    raise MissingError(
        f"{user.email} {has} {user.tenant}/{slug}; expected one of {allowed}",
        *_set_member(Caller(user.tenant, user.email), slug),
    )


async def project_of_run(store: Store, user: User, run_id: str, action: Action) -> str | None:
    """The project of the run, in which the user may do ``action``; None: their tenant has no such run.

    Raises:
        MissingError: they may not.

    """
    run = await store.runs.get_run(user.tenant, run_id)
    if run is None:
        return None
    await check_role(store, Seat(user, run.project_id), action)
    return run.project_id


async def check_tenant(store: Store, tenant: str) -> None:
    """Return where there is such a tenant.

    Raises:
        MissingError: there is none.

    """
    if tenant not in await store.accounts.list_tenants():
        raise MissingError(f"There is no tenant {tenant}", "admin", "tenant", "add", tenant)


async def find_project(store: Store, tenant: str, slug: str) -> ProjectRecord:
    """The tenant's project of that slug.

    Raises:
        MissingError: there is no such tenant or project.

    """
    await check_tenant(store, tenant)
    project = await store.accounts.find_project(tenant, slug)
    if project is None:
        raise MissingError(
            f"Tenant {tenant} has no project {slug}", "admin", "project", "add", "--tenant", tenant, slug
        )
    return project


async def _named_seat(store: Store, caller: Caller) -> Seat:
    named = None if caller.project is None else await find_project(store, caller.tenant, caller.project)
    user = await find_user(store, caller)
    project = named or await _only_project(store, caller, user)
    return Seat(user, project.id)


async def _only_project(store: Store, caller: Caller, user: User) -> ProjectRecord:
    memberships = await store.accounts.list_projects(user.tenant, user.id)
    if len(memberships) == 1:
        return memberships[0].project
    if memberships:
        slugs = ", ".join(membership.project.slug for membership in memberships)
        raise MissingError(f"{user.email} is in several projects of {user.tenant}; name one with --project: {slugs}")
    raise MissingError(f"{user.email} is in no project of {user.tenant}", *_set_member(caller, "PROJECT"))


def _set_member(caller: Caller, project: str) -> tuple[str, ...]:
    return ("admin", "member", "set", "--tenant", caller.tenant, "--project", project, caller.email, "ROLE")
