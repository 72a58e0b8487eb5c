"""A home that is open: the application over its store, and the work that goes on behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial

import structlog
from quart import Quart

from orchestrator.agents import AGENTS
from orchestrator.budget import BudgetedModel, TokenBudget
from orchestrator.cache import CachedAgent, CacheLimits
from orchestrator.clock import SystemClock
from orchestrator.lease import Leases
from orchestrator.ports import Agent, LanguageModel
from orchestrator.records import Quota
from orchestrator.retry import RetryPolicy
from orchestrator.runner import Runner
from orchestrator.service import Orchestrator
from orchestrator.store import Store
from realtime.access import AccessWatch
from realtime.app import create_app
from realtime.broadcaster import Broadcaster
from realtime.counts import RunCounts, SpendingCounts
from realtime.endpoints.backend import Backend
from realtime.frames import Limits
from realtime.ports import DocumentInfo, UnavailableError, User
from realtime.settings import Settings
from realtime.tokens import Tokens
from realtime.wiring.accounts import StoredAccounts
from realtime.wiring.adapters import BroadcastPublisher, StoredLog, StoredRuns
from realtime.wiring.callers import LOCAL, MissingError, Seat, ensure_local, find_local
from realtime.wiring.credentials import sign_in_link, tokens_of
from realtime.wiring.models import context_tokens_of, model_of
from realtime.wiring.opening import open_store

_log = structlog.get_logger(__name__)

RETENTION_CHECK_S = 3600.0


class Home:
    """An open home: the application, and what a command line does without going through it.

    ``local`` is the local user in the local project, whom everything here means that names nobody; None: this
    database has none.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        tokens: Tokens,
        local: Seat | None,
        *,
        model: LanguageModel,
    ) -> None:
        self.settings = settings
        self.local = local
        log = StoredLog(store)
        accounts = StoredAccounts(store)
        broadcaster = Broadcaster(log)
        self.store = store
        document_quota = Quota(tenant=settings.tenant_document_bytes, user=settings.user_document_bytes)
        spending = SpendingCounts(AGENTS)
        budget = TokenBudget(store.tokens, settings.monthly_tokens, spending, SystemClock())
        run_counts = RunCounts()
        self.orchestrator = _orchestrator(settings, store, broadcaster, model, budget, counts=run_counts)
        self.backend = Backend(
            settings=settings,
            runs=StoredRuns(store, self.orchestrator, budget, _notice(settings), document_quota),
            log=log,
            accounts=accounts,
            tokens=tokens,
            broadcaster=broadcaster,
            access=AccessWatch(accounts),
            limits=Limits(identify_s=settings.identify_timeout_s),
            spending=spending,
            run_counts=run_counts,
        )
        self.app: Quart = create_app(self.backend)

    @property
    def user(self) -> User:
        """The local user.

        Raises:
            MissingError: there is none.

        """
        return self._local().user

    @property
    def project_id(self) -> str:
        """The local project; raises like `user`."""
        return self._local().project_id

    def issue_token(self, ttl_s: int | None = None) -> str:
        """A token of the local user."""
        return self.backend.tokens.issue(self.user, ttl_s or self.settings.session_ttl_s)

    async def sign_in_link(self, base_url: str) -> str:
        """A link that signs the local user in, once."""
        return await sign_in_link(self.backend.accounts, self.user, base_url, self.settings.link_ttl_s)

    async def import_document(self, path: str, content: bytes, seat: Seat | None = None) -> DocumentInfo:
        """Keep a document in the project of ``seat``, else in the local one.

        Raises:
            RefusedError: it cannot be kept; the message says why.

        """
        seat = seat or self._local()
        kept = await self.backend.runs.add_documents(
            seat.user.tenant, seat.project_id, [(path, content)], seat.user.id
        )
        return kept[0]

    @contextlib.asynccontextmanager
    async def orchestrate(self) -> AsyncIterator[None]:
        """Carry out runs, those left unfinished first; at the end, stop where they are."""
        loop = asyncio.get_running_loop()
        chores = [
            loop.create_task(_every(self.settings.reconcile_s, self.backend.broadcaster.reconcile)),
            loop.create_task(_every(self.settings.reconcile_s, self.backend.board.reconcile)),
            loop.create_task(_every(self.settings.access_check_s, self.backend.access.check)),
            loop.create_task(_every(RETENTION_CHECK_S, self._drop_old_logs)),
        ]
        try:
            async with self.orchestrator.at_work():
                yield
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await self.backend.broadcaster.close()

    def _local(self) -> Seat:
        if self.local is None:
            raise MissingError(f"There is no user {LOCAL.email} here", "token")
        return self.local

    async def _drop_old_logs(self) -> None:
        for tenant in await self.store.accounts.list_tenants():
            dropped = await self.store.drop_logs(tenant, self.settings.retention_days)
            if dropped:
                _log.info("dropped old logs", tenant=tenant, runs=len(dropped))
            await self.store.answers.drop_expired(tenant, self.settings.cache_days)


async def _every(interval_s: float, chore: Callable[[], Awaitable[None]]) -> None:
    """Do the chore now, then again and again, ``interval_s`` apart, whatever becomes of it."""
    while True:
        try:
            await chore()
        except UnavailableError:
            pass  # it has been logged, and the chore comes again
        except Exception:
            _log.warning("a chore failed; it will be tried again", exc_info=True)
        await asyncio.sleep(interval_s)


@contextlib.asynccontextmanager
async def open_home(settings: Settings, *, model: LanguageModel | None = None) -> AsyncIterator[Home]:
    """The home of ``settings`` with its store. Who goes on to `Home.orchestrate` must hold it with `hold_home`.

    A home in SQLite is made on first use, with the local user and project; on PostgreSQL they are there once a
    command has meant them. ``model`` answers the agents instead of the one that the settings name.

    Raises:
        SettingsError: the model that they name cannot be asked.
        StoreError: its files or its database cannot be used, or are not of this release.

    """
    async with await open_store(settings) as store:
        local = await (ensure_local(store) if settings.database_url is None else find_local(store))
        async with contextlib.nullcontext(model) if model else model_of(settings, SystemClock()) as answering:
            yield Home(settings, store, tokens_of(settings, store), local, model=answering)


def _orchestrator(
    settings: Settings,
    store: Store,
    broadcaster: Broadcaster,
    model: LanguageModel,
    budget: TokenBudget,
    *,
    counts: RunCounts,
) -> Orchestrator:
    clock = SystemClock()
    publisher = BroadcastPublisher(broadcaster, counts)
    runner = Runner(
        runs=store.runs,
        documents=store.documents,
        publisher=publisher,
        agents=AGENTS,
        caching_agents=_caching_agents(settings, store),
        model_for=partial(BudgetedModel, model, budget),
        retry=RetryPolicy(settings.retry_delays_s),
        clock=clock,
        leases=Leases(store.runs, clock, settings.lease_s),
        took_over=counts.took_over,
        context_tokens=context_tokens_of(settings),
    )
    return Orchestrator(
        store.runs,
        store.documents,
        publisher,
        runner,
        budget,
        max_runs_at_once=settings.max_runs_at_once,
        quota=Quota(tenant=settings.tenant_runs, user=settings.user_runs),
        alone=settings.database_url is None,
    )


def _caching_agents(settings: Settings, store: Store) -> Mapping[str, Agent]:
    """Agents that answer from the cache what they were asked before, where the model costs something."""
    if settings.llm_base_url is None or settings.cache_days == 0:
        return AGENTS
    limits = CacheLimits(days=settings.cache_days, size=settings.cache_bytes)
    return {
        agent_type: CachedAgent(agent, store.answers, limits, settings.llm_base_url)
        for agent_type, agent in AGENTS.items()
    }


def _notice(settings: Settings) -> str | None:
    if settings.pace_s == 0 or settings.llm_base_url is not None:
        return None
    return (
        f"Offline model, paced: the work of each agent is spread over about {settings.pace_s:g} s "
        "so that you can watch it."
    )
