"""What is written down about runs, read past the server: straight from its database, at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

from realtime.wiring import LOCAL

Row: TypeAlias = Mapping[str, Any]

CLAIMED = """
    SELECT takeovers, heartbeat_at FROM agent_runs WHERE ended_at IS NULL AND claim_token IS NOT NULL
"""
RUNS = "SELECT id, status, last_event_id, total_tokens, ended_at FROM agent_runs"
STEPS = "SELECT run_id, id, agent_type, status, attempt, tokens_used, artifact_id FROM agent_run_steps"
EVENTS = "SELECT run_id, id, type, payload FROM agent_run_events ORDER BY run_id, id"
ARTIFACTS = "SELECT id, run_id, step_id FROM artifacts"
RESERVATIONS = "SELECT run_id FROM token_reservations"
SPENT = "SELECT CAST(COALESCE(SUM(spent), 0) AS BIGINT) AS tokens FROM token_months"


class Records:
    """The local tenant's tables: in PostgreSQL where there is a ``database_url``, else in the home.

    Every reading has a connection of its own: one that stayed open would keep a server of SQLite, when it comes
    back, from mending by itself what a kill has left.
    """

    def __init__(self, home: Path, database_url: str | None) -> None:
        self._file = home / "tenants" / f"{LOCAL.tenant}.db"
        self._url = database_url

    async def read(self, sql: str) -> Sequence[Row]:
        """The rows."""
        if self._url is None:
            return await asyncio.to_thread(self._read_file, sql)
        return await self._read_server(self._url, sql)

    async def now(self) -> datetime:
        """The time by the clock that the database goes by."""
        if self._url is None:
            return datetime.now(UTC)
        return datetime.fromisoformat(
            (await self._read_server(self._url, "SELECT clock_timestamp()::text AS at"))[0]["at"]
        )

    def _read_file(self, sql: str) -> Sequence[Row]:
        with contextlib.closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql)]

    async def _read_server(self, url: str, sql: str) -> Sequence[Row]:
        connection = await asyncpg.connect(url, server_settings={"search_path": f"tenant_{LOCAL.tenant}"})
        try:
            return [dict(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()
