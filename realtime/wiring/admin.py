"""Tenants, their projects, members and old logs, as an administrator sees to them, also beside a server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import msgspec

from orchestrator.store import Store
from orchestrator.store.accounts import Member, ProjectRecord
from realtime.roles import Role
from realtime.settings import Settings
from realtime.wiring.callers import MissingError, check_tenant, find_project
from realtime.wiring.opening import open_store


class LastOwnerError(Exception):
    """A project would be left without an owner."""


class MemberChange(msgspec.Struct, frozen=True):
    """What setting a member came to: their address as it is kept, whether the tenant has the user since now, and the
    role that they had before, or None.
    """

    email: str
    is_new_user: bool
    role_before: str | None


class Administration:
    """Everything by the names that people use. What is added twice is there once."""

    def __init__(self, store: Store) -> None:
        self._accounts = store.accounts
        self._store = store

    async def add_tenant(self, slug: str) -> bool:
        """See to it that there is such a tenant. False: it was there already."""
        known = await self.list_tenants()
        await self._accounts.ensure_tenant(slug)
        return slug not in known

    async def list_tenants(self) -> tuple[str, ...]:
        """The slugs of all tenants, sorted."""
        return await self._accounts.list_tenants()

    async def add_project(self, tenant: str, slug: str, name: str) -> bool:
        """See to it that the tenant has such a project. False: it was there already, and keeps its name.

        Raises:
            MissingError: there is no such tenant.

        """
        await check_tenant(self._store, tenant)
        known = await self._accounts.find_project(tenant, slug)
        await self._accounts.ensure_project(tenant, slug, name)
        return known is None

    async def list_projects(self, tenant: str) -> tuple[ProjectRecord, ...]:
        """The tenant's projects by slug.

        Raises:
            MissingError: there is no such tenant.

        """
        await check_tenant(self._store, tenant)
        return await self._accounts.list_all_projects(tenant)

    async def set_member(self, tenant: str, project: str, email: str, role: Role, *, force: bool) -> MemberChange:
        """Give somebody a role in a project, in place of any that they had; a user who is new is made.

        Raises:
            InvalidRequestError: ``email`` is no address.
            LastOwnerError: the project would have no owner any more, and not ``force``.
            MissingError: there is no such tenant or project.

        """
        found = await find_project(self._store, tenant, project)
        known = await self._accounts.find_user(tenant, email)
        user = known or await self._accounts.ensure_user(tenant, email)
        before = await self._accounts.get_role(tenant, found.id, user.id)
        if role is not Role.OWNER and not force:
            await self._check_other_owner(tenant, found, user.id)
        await self._accounts.set_member(tenant, found.id, user.id, role)
        return MemberChange(user.email, known is None, before)

    async def remove_member(self, tenant: str, project: str, email: str, *, force: bool) -> str | None:
        """Take somebody out of a project: the role that they had, or None.

        Raises:
            LastOwnerError: the project would have no owner any more, and not ``force``.
            MissingError: there is no such tenant, project or user.

        """
        found = await find_project(self._store, tenant, project)
        user = await self._accounts.find_user(tenant, email)
        if user is None:
            raise MissingError(f"Tenant {tenant} has no user {email}")
        before = await self._accounts.get_role(tenant, found.id, user.id)
        if not force:
            await self._check_other_owner(tenant, found, user.id)
        await self._accounts.remove_member(tenant, found.id, user.id)
        return before

    async def list_members(self, tenant: str, project: str) -> tuple[Member, ...]:
        """Everybody in the project, by address.

        Raises:
            MissingError: there is no such tenant or project.

        """
        found = await find_project(self._store, tenant, project)
        return await self._accounts.list_members(tenant, found.id)

    async def count_old_logs(self, tenant: str, days: float) -> int:
        """How many runs `drop_old_logs` would take the log of; nothing is changed.

        Raises:
            MissingError: there is no such tenant.

        """
        await check_tenant(self._store, tenant)
        return len(await self._store.old_logs(tenant, days))

    async def drop_old_logs(self, tenant: str, days: float) -> int:
        """Delete the logs of the tenant's runs that ended more than ``days`` ago; how many runs that were.

        The runs, their steps and artifacts stay. Ended in the middle, it has taken some logs whole.

        Raises:
            MissingError: there is no such tenant.

        """
        await check_tenant(self._store, tenant)
        return len(await self._store.drop_logs(tenant, days))

    async def _check_other_owner(self, tenant: str, project: ProjectRecord, user_id: str) -> None:
        members = await self._accounts.list_members(tenant, project.id)
        owners = [member for member in members if member.role == Role.OWNER]
        if [owner.user_id for owner in owners] == [user_id]:
            raise LastOwnerError(f"{owners[0].email} is the only owner of {tenant}/{project.slug}")


@contextlib.asynccontextmanager
async def administer(settings: Settings) -> AsyncIterator[Administration]:
    """The administration of the store of ``settings``, also while a server has it open.

    Raises:
        StoreError: the store cannot be used.

    """
    async with await open_store(settings) as store:
        yield Administration(store)
