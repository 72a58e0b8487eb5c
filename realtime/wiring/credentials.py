"""Tokens and sign-in links for callers, made beside whoever serves the store."""

from __future__ import annotations

import msgspec

from orchestrator.store import Store
from realtime.ports import Accounts, User
from realtime.roles import Action
from realtime.settings import Settings
from realtime.tokens import Tokens, hash_code, make_tokens, new_code
from realtime.wiring.accounts import StoredAccounts
from realtime.wiring.callers import Caller, find_seat, find_user, project_of_run
from realtime.wiring.opening import open_store, read_secret


class Admission(msgspec.Struct, frozen=True):
    """A fresh token of a caller, and the project that they mean; None: that of a run which is not there."""

    token: str
    project_id: str | None


def tokens_of(settings: Settings, store: Store) -> Tokens:
    """What makes and reads the tokens of a server of ``settings``."""
    return make_tokens(settings, read_secret(settings.home), StoredAccounts(store))


async def mint_token(settings: Settings, caller: Caller, ttl_s: int | None = None) -> str:
    """A token of the caller for ``ttl_s`` seconds; None: for as long as a session lasts.

    Raises:
        MissingError: there is no such caller.
        StoreError: the store cannot be used.

    """
    async with await open_store(settings) as store:
        user = await find_user(store, caller)
        return tokens_of(settings, store).issue(user, ttl_s or settings.session_ttl_s)


async def admit(settings: Settings, caller: Caller, action: Action, run_id: str | None = None) -> Admission:
    """A token with which the caller may do ``action`` in their project, or in that of the run.

    Raises:
        MissingError: they may not, or something of what they name is not there.
        StoreError: the store cannot be used.

    """
    async with await open_store(settings) as store:
        project_id: str | None
        if run_id is None:
            seat = await find_seat(store, caller, action)
            user, project_id = seat.user, seat.project_id
        else:
            user = await find_user(store, caller)
            project_id = await project_of_run(store, user, run_id, action)
        return Admission(tokens_of(settings, store).issue(user, settings.session_ttl_s), project_id)


async def new_sign_in_link(settings: Settings, caller: Caller, base_url: str) -> str:
    """A link to the server at ``base_url`` that signs the caller in, once.

    Raises:
        MissingError: there is no such caller.
        StoreError: the store cannot be used.

    """
    async with await open_store(settings) as store:
        user = await find_user(store, caller)
        return await sign_in_link(StoredAccounts(store), user, base_url, settings.link_ttl_s)


async def sign_in_link(accounts: Accounts, user: User, base_url: str, ttl_s: int) -> str:
    """A link that signs the user in, once, for ``ttl_s`` seconds."""
    code = new_code()
    await accounts.add_code(hash_code(code), user, ttl_s)
    return f"{base_url.rstrip('/')}/sign-in?code={code}"
