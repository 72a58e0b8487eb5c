"""Tenants, their projects and users, and who may do what.

Projects live with their tenant's data, users and memberships in the shared schema: what reads both, reads two
snapshots.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import uuid4

import msgspec

from orchestrator.errors import InvalidRequestError, OrchestratorError, ProjectNotFoundError
from orchestrator.events import UNSTORABLE
from orchestrator.store.base import (
    PROJECT_SLUG,
    Databases,
    Session,
    TenantNotFoundError,
    check_slug,
    read_or,
    spread,
)

LARGEST_QUESTION = 500
"""Users asked about in one statement."""

INSERT_TENANT = "INSERT INTO public.tenants (slug, created_at) VALUES (:slug, {now}) ON CONFLICT (slug) DO NOTHING"

TENANTS = "SELECT slug FROM public.tenants"

FIND_TENANT = "SELECT 1 AS found FROM public.tenants WHERE slug = :tenant"

INSERT_PROJECT = """
    INSERT INTO {tenant}.projects (id, slug, name, created_at) VALUES (:id, :slug, :name, {now})
    ON CONFLICT (slug) DO NOTHING
"""

PROJECT_BY_SLUG = "SELECT id, slug, name FROM {tenant}.projects WHERE slug = :slug"

PROJECT_BY_ID = "SELECT id, slug, name FROM {tenant}.projects WHERE id = :project_id"

PROJECTS = "SELECT id, slug, name FROM {tenant}.projects"

INSERT_USER = """
    INSERT INTO public.users (id, tenant, email, created_at) VALUES (:id, :tenant, :email, {now})
    ON CONFLICT (tenant, email) DO NOTHING
"""

USER_BY_EMAIL = "SELECT tenant, id, email FROM public.users WHERE tenant = :tenant AND email = :email"

USER_BY_ID = "SELECT tenant, id, email FROM public.users WHERE tenant = :tenant AND id = :user_id"

SET_MEMBER = """
    INSERT INTO public.memberships (tenant, project_id, user_id, role) VALUES (:tenant, :project_id, :user_id, :role)
    ON CONFLICT (tenant, user_id, project_id) DO UPDATE SET role = excluded.role
"""

ROLE = """
    SELECT role FROM public.memberships
    WHERE tenant = :tenant AND user_id = :user_id AND project_id = :project_id
"""

ROLES = "SELECT project_id, role FROM public.memberships WHERE tenant = :tenant AND user_id = :user_id"

ROLES_OF_USERS = "SELECT tenant, project_id, user_id, role FROM public.memberships WHERE user_id IN ({ids})"

MEMBERS = """
    SELECT m.project_id, m.role, u.id AS user_id, u.email
    FROM public.memberships m JOIN public.users u ON u.id = m.user_id
    WHERE m.tenant = :tenant AND m.project_id = :project_id
"""

REMOVE_MEMBER = """
    DELETE FROM public.memberships
    WHERE tenant = :tenant AND project_id = :project_id AND user_id = :user_id RETURNING role
"""


class UserNotFoundError(OrchestratorError):
    """The tenant has no such user."""

    code = "USER_NOT_FOUND"


class ProjectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A project of a tenant."""

    id: str
    slug: str
    name: str


class UserRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person of one tenant; ``email`` is in lower case."""

    tenant: str
    id: str
    email: str


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A project and what one of its members is in it."""

    project: ProjectRecord
    role: str


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in a project."""

    user_id: str
    email: str
    role: str


class AccountStore:
    """Who there is, and what they may do where. What is ensured twice is there once."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def ensure_tenant(self, tenant: str) -> None:
        """The tenant exists after this, with the place for its data.

        Raises:
            InvalidSlugError: it is no slug.

        """
        await self._databases.create_tenant(tenant)
        await self._databases.write_shared(lambda session: session.execute(INSERT_TENANT, slug=tenant))

    async def list_tenants(self) -> tuple[str, ...]:
        """The slugs of all tenants, sorted."""
        rows = await self._databases.read_shared(lambda session: session.fetch_all(TENANTS))
        return tuple(sorted(row["slug"] for row in rows))

    async def ensure_project(self, tenant: str, slug: str, name: str) -> ProjectRecord:
        """The tenant's project of that slug; one that exists keeps its name.

        Raises:
            InvalidSlugError: it is no slug of a project.
            TenantNotFoundError: there is no such tenant.

        """
        check_slug(slug, PROJECT_SLUG)

        async def ensure(session: Session) -> ProjectRecord:
            await session.execute(INSERT_PROJECT, id=str(uuid4()), slug=slug, name=name)
            return msgspec.convert(await session.fetch_one(PROJECT_BY_SLUG, slug=slug), ProjectRecord)

        return await self._databases.write(tenant, ensure)

    async def get_project(self, tenant: str, project_id: str) -> ProjectRecord | None:
        """The tenant's project of that id, or None."""

        async def read(session: Session) -> ProjectRecord | None:
            row = await session.fetch_one(PROJECT_BY_ID, project_id=project_id)
            return None if row is None else msgspec.convert(row, ProjectRecord)

        return await read_or(self._databases, tenant, read, None)

    async def ensure_user(self, tenant: str, email: str) -> UserRecord:
        """The tenant's user of that address; case does not distinguish addresses.

        Raises:
            InvalidRequestError: it is no address.
            TenantNotFoundError: there is no such tenant.

        """
        address = _address(email)
        if not all(address.partition("@")) or UNSTORABLE.search(address):
            raise InvalidRequestError(f"{email[:64]!r} is no e-mail address; expected name@domain.")

        async def ensure(session: Session) -> UserRecord:
            if await session.fetch_one(FIND_TENANT, tenant=tenant) is None:
                raise TenantNotFoundError(f"There is no tenant {tenant!r}.")
            await session.execute(INSERT_USER, id=str(uuid4()), tenant=tenant, email=address)
            return msgspec.convert(await session.fetch_one(USER_BY_EMAIL, tenant=tenant, email=address), UserRecord)

        return await self._databases.write_shared(ensure)

    async def find_user(self, tenant: str, email: str) -> UserRecord | None:
        """The tenant's user of that address, or None."""
        row = await self._databases.read_shared(
            lambda session: session.fetch_one(USER_BY_EMAIL, tenant=tenant, email=_address(email))
        )
        return None if row is None else msgspec.convert(row, UserRecord)

    async def set_member(self, tenant: str, project_id: str, user_id: str, role: str) -> None:
        """Make the user a member of the project, in ``role`` from now on.

        Raises:
            ProjectNotFoundError: the tenant has no such project.
            UserNotFoundError: the tenant has no such user.

        """
        if await self.get_project(tenant, project_id) is None:
            raise ProjectNotFoundError(f"Tenant {tenant!r} has no project {project_id!r}.")

        async def keep(session: Session) -> None:
            if await session.fetch_one(USER_BY_ID, tenant=tenant, user_id=user_id) is None:
                raise UserNotFoundError(f"Tenant {tenant!r} has no user {user_id!r}.")
            await session.execute(SET_MEMBER, tenant=tenant, project_id=project_id, user_id=user_id, role=role)

        await self._databases.write_shared(keep)

    async def get_role(self, tenant: str, project_id: str, user_id: str) -> str | None:
        """The user's role in the project; None: not a member, or no such project."""
        row = await self._databases.read_shared(
            lambda session: session.fetch_one(ROLE, tenant=tenant, project_id=project_id, user_id=user_id)
        )
        return None if row is None else str(row["role"])

    async def list_projects(self, tenant: str, user_id: str) -> tuple[Membership, ...]:
        """The projects the user is a member of, with the role, by slug."""
        rows = await self._databases.read_shared(
            lambda session: session.fetch_all(ROLES, tenant=tenant, user_id=user_id)
        )
        roles = {row["project_id"]: row["role"] for row in rows}
        found = await read_or(self._databases, tenant, lambda session: session.fetch_all(PROJECTS), ())
        projects = sorted(msgspec.convert(found, list[ProjectRecord]), key=lambda project: project.slug)
        return tuple(Membership(project=it, role=roles[it.id]) for it in projects if it.id in roles)

    async def roles(self, memberships: Collection[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
        """The roles of those (tenant, project id, user id) that are members, all as of one moment."""
        asked = frozenset(memberships)
        user_ids = sorted({user_id for _, _, user_id in asked})

        async def read(session: Session) -> dict[tuple[str, str, str], str]:
            found: dict[tuple[str, str, str], str] = {}
            for start in range(0, len(user_ids), LARGEST_QUESTION):
                sql, ids = spread(ROLES_OF_USERS, "ids", user_ids[start : start + LARGEST_QUESTION])
                for row in await session.fetch_all(sql, **ids):
                    found[row["tenant"], row["project_id"], row["user_id"]] = row["role"]
            return {membership: role for membership, role in found.items() if membership in asked}

        return await self._databases.read_shared(read) if asked else {}

    async def list_members(self, tenant: str, project_id: str) -> tuple[Member, ...]:
        """Everybody in the project, by address."""
        rows = await self._databases.read_shared(
            lambda session: session.fetch_all(MEMBERS, tenant=tenant, project_id=project_id)
        )
        return tuple(sorted(msgspec.convert(rows, list[Member]), key=lambda member: member.email))

    async def remove_member(self, tenant: str, project_id: str, user_id: str) -> bool:
        """Take the user out of the project. False: they were not in it."""
        row = await self._databases.write_shared(
            lambda session: session.fetch_one(REMOVE_MEMBER, tenant=tenant, project_id=project_id, user_id=user_id)
        )
        return row is not None

    async def list_all_projects(self, tenant: str) -> tuple[ProjectRecord, ...]:
        """The tenant's projects by slug, whoever is in them.

        Raises:
            TenantNotFoundError: there is no such tenant.

        """
        rows = await self._databases.read(tenant, lambda session: session.fetch_all(PROJECTS))
        return tuple(sorted(msgspec.convert(rows, list[ProjectRecord]), key=lambda project: project.slug))

    async def find_project(self, tenant: str, slug: str) -> ProjectRecord | None:
        """The tenant's project of that slug, or None."""

        async def read(session: Session) -> ProjectRecord | None:
            row = await session.fetch_one(PROJECT_BY_SLUG, slug=slug)
            return None if row is None else msgspec.convert(row, ProjectRecord)

        return await read_or(self._databases, tenant, read, None)


def _address(email: str) -> str:
    return email.strip().lower()
