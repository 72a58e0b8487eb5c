"""Who there is in the store, in the shape that delivery asks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from orchestrator.store import Store
from realtime.ports import Membership, ProjectInfo, User
from realtime.shared_reads import SharedReads
from realtime.wiring.adapters import reshape
from realtime.wiring.refusals import refusing


class StoredAccounts:
    """`realtime.ports.Accounts` over the store."""

    def __init__(self, store: Store) -> None:
        self._accounts = store.accounts
        self._codes = store.codes
        self._roles = SharedReads(self.roles, lambda membership: membership.tenant)

    async def get_role(self, tenant: str, project_id: str, user_id: str) -> str | None:
        """The user's role in the project."""
        return await self._roles.get(Membership(tenant, project_id, user_id))

    @refusing
    async def roles(self, memberships: Collection[Membership]) -> dict[Membership, str]:
        """The role of each of these that is one."""
        return {Membership(*key): role for key, role in (await self._accounts.roles(memberships)).items()}

    @refusing
    async def find_user(self, tenant: str, email: str) -> User | None:
        """The tenant's user of that address."""
        record = await self._accounts.find_user(tenant, email)
        return None if record is None else reshape(record, User)

    @refusing
    async def has_project(self, tenant: str, project_id: str) -> bool:
        """True where the tenant has that project."""
        return await self._accounts.get_project(tenant, project_id) is not None

    @refusing
    async def list_projects(self, tenant: str, user_id: str) -> Sequence[ProjectInfo]:
        """The projects the user is a member of, by slug."""
        return [
            reshape(membership.project, ProjectInfo, role=membership.role)
            for membership in await self._accounts.list_projects(tenant, user_id)
        ]

    @refusing
    async def add_code(self, code_hash: str, user: User, ttl_s: int) -> None:
        """Keep a one-time sign-in code for ``ttl_s`` seconds."""
        await self._codes.add_code(code_hash, user.tenant, user.id, ttl_s)

    @refusing
    async def spend_code(self, code_hash: str) -> User | None:
        """The user of a code, once."""
        record = await self._codes.spend_code(code_hash)
        return None if record is None else reshape(record, User)
