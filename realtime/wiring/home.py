"""A home: the directory with everything one local server keeps, opened by one server at a time."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import structlog
from quart import Quart

from orchestrator.agents import AGENTS
from orchestrator.budget import BudgetedModel, TokenBudget
from orchestrator.clock import SystemClock
from orchestrator.llm.offline import OfflineModel
from orchestrator.ports import Clock, LanguageModel
from orchestrator.records import Quota
from orchestrator.retry import RetryPolicy
from orchestrator.runner import Runner
from orchestrator.service import Orchestrator
from orchestrator.store import Store, open_sqlite_store
from realtime.access import AccessWatch
from realtime.app import create_app
from realtime.broadcaster import Broadcaster
from realtime.endpoints.backend import Backend
from realtime.frames import Limits
from realtime.ports import Accounts, DocumentInfo, User
from realtime.roles import Role
from realtime.settings import Settings
from realtime.tokens import Tokens, hash_code, new_code
from realtime.wiring.adapters import BroadcastPublisher, StoredAccounts, StoredLog, StoredRuns

_log = structlog.get_logger(__name__)

LOCAL_TENANT = "demo"
LOCAL_PROJECT = "demo"
LOCAL_EMAIL = "owner@localhost"
RETENTION_CHECK_S = 3600.0


class HomeLockedError(Exception):
    """Another process has this home open; the text says which home."""


class Home:
    """An open home: the application, and what a command line does without going through it."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        tokens: Tokens,
        user: User,
        project_id: str,
        *,
        model: LanguageModel | None = None,
    ) -> None:
        self.settings = settings
        self.user = user
        self.project_id = project_id
        log = StoredLog(store)
        accounts = StoredAccounts(store)
        broadcaster = Broadcaster(log)
        self.store = store
        document_quota = Quota(tenant=settings.tenant_document_bytes, user=settings.user_document_bytes)
        clock = SystemClock()
        model = model or OfflineModel(clock, settings.pace_s)
        self.orchestrator = _orchestrator(settings, store, broadcaster, model, clock)
        self.backend = Backend(
            settings=settings,
            runs=StoredRuns(store, self.orchestrator, _notice(settings), document_quota),
            log=log,
            accounts=accounts,
            tokens=tokens,
            broadcaster=broadcaster,
            access=AccessWatch(accounts),
            limits=Limits(identify_s=settings.identify_timeout_s),
        )
        self.app: Quart = create_app(self.backend)

    def issue_token(self, ttl_s: int | None = None) -> str:
        """A token of the local user."""
        return self.backend.tokens.issue(self.user, ttl_s or self.settings.session_ttl_s)

    async def sign_in_link(self, base_url: str) -> str:
        """A link that signs the local user in, once."""
        return await _sign_in_link(self.backend.accounts, self.user, base_url, self.settings.link_ttl_s)

    async def import_document(self, path: str, content: bytes) -> DocumentInfo:
        """Keep a document in the local project.

        Raises:
            RefusedError: it cannot be kept; the message says why.

        """
        kept = await self.backend.runs.add_documents(
            self.user.tenant, self.project_id, [(path, content)], self.user.id
        )
        return kept[0]

    @contextlib.asynccontextmanager
    async def orchestrate(self) -> AsyncIterator[None]:
        """Carry out runs, those left unfinished first; at the end, stop where they are."""
        loop = asyncio.get_running_loop()
        chores = [
            loop.create_task(_every(self.settings.reconcile_s, self.backend.broadcaster.reconcile)),
            loop.create_task(_every(self.settings.access_check_s, self.backend.access.check)),
            loop.create_task(_every(RETENTION_CHECK_S, self._drop_old_logs)),
        ]
        try:
            resumed = await self.orchestrator.resume()
            if resumed:
                _log.info("took over unfinished runs", runs=resumed)
            yield
        finally:
            await self.orchestrator.close()
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await self.backend.broadcaster.close()

    async def _drop_old_logs(self) -> None:
        for tenant in await self.store.accounts.list_tenants():
            dropped = await self.store.drop_logs(tenant, self.settings.retention_days)
            if dropped:
                _log.info("dropped old logs", tenant=tenant, runs=len(dropped))


async def _every(interval_s: float, chore: Callable[[], Awaitable[None]]) -> None:
    """Do the chore now, then again and again, ``interval_s`` apart, whatever becomes of it."""
    while True:
        try:
            await chore()
        except Exception:
            _log.warning("a chore failed; it will be tried again", exc_info=True)
        await asyncio.sleep(interval_s)


@contextlib.asynccontextmanager
async def open_home(settings: Settings, *, model: LanguageModel | None = None) -> AsyncIterator[Home]:
    """The home of ``settings``, made on first use: tenant, project and user of the local mode, and a random secret.

    ``model`` answers the agents instead of the offline model.

    Raises:
        HomeLockedError: another process has it open.
        StoreError: its files cannot be used.

    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(settings.home):
        tokens = Tokens(_secret(settings.home))
        async with await open_sqlite_store(settings.home) as store:
            user, project_id = await _ensure_local(store)
            yield Home(settings, store, tokens, user, project_id, model=model)


async def mint_token(settings: Settings) -> str:
    """A token of the local user of a home that is there, also while another process serves it."""
    tokens = Tokens(_secret(settings.home))
    async with await open_sqlite_store(settings.home) as store:
        user, _ = await _ensure_local(store)
    return tokens.issue(user, settings.session_ttl_s)


async def new_sign_in_link(settings: Settings, base_url: str) -> str:
    """Another one-time sign-in link, also while another process serves the home."""
    async with await open_sqlite_store(settings.home) as store:
        user, _ = await _ensure_local(store)
        return await _sign_in_link(StoredAccounts(store), user, base_url, settings.link_ttl_s)


async def _sign_in_link(accounts: Accounts, user: User, base_url: str, ttl_s: int) -> str:
    code = new_code()
    await accounts.add_code(hash_code(code), user, ttl_s)
    return f"{base_url}/sign-in?code={code}"


def _orchestrator(
    settings: Settings, store: Store, broadcaster: Broadcaster, model: LanguageModel, clock: Clock
) -> Orchestrator:
    budget = TokenBudget(settings.monthly_tokens, clock)
    publisher = BroadcastPublisher(broadcaster)
    runner = Runner(
        runs=store.runs,
        documents=store.documents,
        publisher=publisher,
        agents=AGENTS,
        model=BudgetedModel(model, budget),
        retry=RetryPolicy(settings.retry_delays_s),
        clock=clock,
    )
    return Orchestrator(
        store.runs,
        store.documents,
        publisher,
        runner,
        budget,
        max_runs_at_once=settings.max_runs_at_once,
        quota=Quota(tenant=settings.tenant_runs, user=settings.user_runs),
    )


def _notice(settings: Settings) -> str | None:
    if settings.pace_s == 0:
        return None
    return (
        f"Offline model, paced: the work of each agent is spread over about {settings.pace_s:g} s "
        "so that you can watch it."
    )


async def _ensure_local(store: Store) -> tuple[User, str]:
    await store.accounts.ensure_tenant(LOCAL_TENANT)
    project = await store.accounts.ensure_project(LOCAL_TENANT, LOCAL_PROJECT, "Demo")
    record = await store.accounts.ensure_user(LOCAL_TENANT, LOCAL_EMAIL)
    if await store.accounts.get_role(LOCAL_TENANT, project.id, record.id) is None:
        await store.accounts.set_member(LOCAL_TENANT, project.id, record.id, Role.OWNER)
    return User(tenant=LOCAL_TENANT, id=record.id, email=record.email), project.id


def _secret(home: Path) -> bytes:
    """The home's signing secret, made once, readable by its owner only."""
    path = home / "secret"
    if not path.exists():
        draft = home / f"secret.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)  # whole or not at all, also when two processes come at once
        draft.unlink()
    return path.read_text().strip().encode()


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Hold the home's lock; the system lets go of it when the process ends, however it ends."""
    with (home / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeLockedError(f"another process has the home {home} open") from None
        yield
