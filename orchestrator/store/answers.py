"""Answers of agents by the hash of what they were asked: for a limited time, and in bounded room."""

from __future__ import annotations

from orchestrator.cache import CacheLimits
from orchestrator.events import storable
from orchestrator.ports import AgentResult
from orchestrator.store.base import Databases, Session, days_ago, now, read_or, write_or

TEXTS = ("title", "artifact_type", "content_type", "content")

FIND = """
    SELECT title, artifact_type, content_type, content FROM {tenant}.answers
    WHERE key = :key AND created_at > :oldest
"""

KEEP = """
    INSERT INTO {tenant}.answers (key, title, artifact_type, content_type, content, size, created_at)
    VALUES (:key, :title, :artifact_type, :content_type, :content, :size, :at)
    ON CONFLICT (key) DO UPDATE
    SET title = excluded.title, artifact_type = excluded.artifact_type, content_type = excluded.content_type,
        content = excluded.content, size = excluded.size, created_at = excluded.created_at
"""

DROP_EXPIRED = "DELETE FROM {tenant}.answers WHERE created_at <= :oldest"

DROP_BEYOND = """
    DELETE FROM {tenant}.answers WHERE key IN (
        SELECT key FROM (
            SELECT key, SUM(size) OVER newest AS bytes, ROW_NUMBER() OVER newest AS number
            FROM {tenant}.answers
            WINDOW newest AS (ORDER BY created_at DESC, key)
        ) AS counted
        WHERE bytes > CAST(:size AS BIGINT) OR number > CAST(:count AS BIGINT)
    )
"""


class AnswerStore:
    """`orchestrator.cache.AnswerStore` on any of the databases. A tenant that does not exist has nothing."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def find(self, tenant: str, key: str, limits: CacheLimits) -> AgentResult | None:
        """See `orchestrator.cache.AnswerStore.find`."""

        async def read(session: Session) -> AgentResult | None:
            row = await session.fetch_one(FIND, key=key, oldest=await days_ago(session, limits.days))
            return None if row is None else AgentResult(**row, tokens_used=0)

        return await read_or(self._databases, tenant, read, None)

    async def keep(self, tenant: str, key: str, answer: AgentResult, limits: CacheLimits) -> None:
        """See `orchestrator.cache.AnswerStore.keep`."""
        texts = {name: storable(getattr(answer, name)) for name in TEXTS}
        size = sum(len(text.encode()) for text in texts.values())
        if size > limits.size:
            return

        async def keep(session: Session) -> None:
            await session.execute(KEEP, key=key, size=size, at=await now(session), **texts)
            await session.execute(DROP_EXPIRED, oldest=await days_ago(session, limits.days))
            await session.execute(DROP_BEYOND, size=limits.size, count=limits.count)

        await write_or(self._databases, tenant, keep, None)

    async def drop_expired(self, tenant: str, days: float) -> None:
        """Delete the tenant's answers that are older than ``days``; with 0 all of them."""

        async def drop(session: Session) -> None:
            await session.execute(DROP_EXPIRED, oldest=await days_ago(session, days))

        await write_or(self._databases, tenant, drop, None)
