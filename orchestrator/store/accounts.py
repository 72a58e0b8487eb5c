"""Tenants, their projects and users, who may do what, and one-time sign-in codes.

Projects live with their tenant's data, users and memberships in the shared schema: what reads both, reads two
snapshots.
"""

from __future__ import annotations

from uuid import uuid4

import msgspec

from orchestrator.errors import InvalidRequestError, OrchestratorError, ProjectNotFoundError
from orchestrator.store.base import (
    PROJECT_SLUG,
    Databases,
    Session,
    TenantNotFoundError,
    check_slug,
    later,
    now,
    read_or,
)

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

INSERT_CODE = """
    INSERT INTO public.one_time_codes (code_hash, user_id, expires_at) VALUES (:code_hash, :user_id, :expires_at)
"""

PRUNE_CODES = "DELETE FROM public.one_time_codes WHERE expires_at <= {now}"

SPEND_CODE = "DELETE FROM public.one_time_codes WHERE code_hash = :code_hash RETURNING user_id"

USER_OF_CODE = "SELECT tenant, id, email FROM public.users WHERE id = :user_id"


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
        if not all(address.partition("@")):
            raise InvalidRequestError(f"{email[:64]!r} is no e-mail address; expected name@domain.")

        async def ensure(session: Session) -> UserRecord:
            if await session.fetch_one(FIND_TENANT, tenant=tenant) is None:
                raise TenantNotFoundError(f"There is no tenant {tenant!r}.")
            await session.execute(INSERT_USER, id=str(uuid4()), tenant=tenant, email=address)
            return msgspec.convert(await session.fetch_one(USER_BY_EMAIL, tenant=tenant, email=address), UserRecord)

        return await self._databases.write_shared(ensure)

    async def get_user(self, tenant: str, user_id: str) -> UserRecord | None:
        """The tenant's user of that id, or None."""
        row = await self._databases.read_shared(
            lambda session: session.fetch_one(USER_BY_ID, tenant=tenant, user_id=user_id)
        )
        return None if row is None else msgspec.convert(row, UserRecord)

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

    async def add_code(self, code_hash: str, tenant: str, user_id: str, ttl_s: float) -> None:
        """Keep a one-time sign-in code of that user, by its hash, for ``ttl_s`` seconds. Forgets expired ones.

        Raises:
            UserNotFoundError: the tenant has no such user.

        """

        async def add(session: Session) -> None:
            if await session.fetch_one(USER_BY_ID, tenant=tenant, user_id=user_id) is None:
                raise UserNotFoundError(f"Tenant {tenant!r} has no user {user_id!r}.")
            await session.execute(PRUNE_CODES)
            expires_at = later(await now(session), ttl_s)
            await session.execute(INSERT_CODE, code_hash=code_hash, user_id=user_id, expires_at=expires_at)

        await self._databases.write_shared(add)

    async def spend_code(self, code_hash: str) -> UserRecord | None:
        """The user of an unspent, unexpired code, which is spent by this: whoever asks second gets None."""

        async def spend(session: Session) -> UserRecord | None:
            await session.execute(PRUNE_CODES)
            spent = await session.fetch_one(SPEND_CODE, code_hash=code_hash)
            if spent is None:
                return None
            return msgspec.convert(await session.fetch_one(USER_OF_CODE, user_id=spent["user_id"]), UserRecord)

        return await self._databases.write_shared(spend)


def _address(email: str) -> str:
    return email.strip().lower()
