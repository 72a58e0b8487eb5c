"""Many units of work, one COMMIT: what waits while one transaction is being made durable shares the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Generic, TypeVar

from orchestrator.errors import StoreError
from orchestrator.store.base import Session, Work
from orchestrator.store.transactions import Database

Result = TypeVar("Result")

MOST_PER_COMMIT = 64
"""Units in one transaction, so that the first of a crowd does not wait for the last."""


class _Unit(Generic[Result]):
    """One unit of work and, once its transaction is over, what came of it."""

    def __init__(self, work: Work[Result]) -> None:
        self.work = work
        self.settled = False
        self.result: Result | None = None
        self.error: Exception | None = None

    async def attempt(self, database: Database, session: Session) -> None:
        """Do the work in a savepoint. Raises only where that savepoint, and so the whole transaction, is broken."""
        savepoint = await database.transaction().start()
        try:
            self.result = await self.work(session)
        except BaseException as error:
            await savepoint.rollback()
            if not isinstance(error, Exception):
                raise
            self.error = error
        else:
            await savepoint.commit()

    def fail(self, cause: BaseException) -> None:
        """Its transaction was not committed, as far as is known."""
        self.error = StoreError(f"The transaction was not committed: {cause}")
        self.error.__cause__ = cause
        self.settled = True


class GroupCommit:
    """The one writer of a database.

    Units are done in the order in which they came. Each sees what those before it did; one that raises takes back
    only its own changes; none returns before the COMMIT that made its changes durable. Where that fails, all fail.
    """

    def __init__(self, database: Database, session: Session) -> None:
        self._database = database
        self._session = session
        self._waiting: deque[_Unit[Any]] = deque()
        self._turn = asyncio.Lock()

    async def write(self, work: Work[Result]) -> Result:
        """What ``work`` returns, after its changes are durable. Not to be cancelled: see `InFlight`.

        Raises:
            StoreError: the database failed; whether the changes were made is unknown only if COMMIT itself failed.

        """
        unit = _Unit(work)
        self._waiting.append(unit)
        async with self._turn:  # first come, first served: whoever gets it is done, or among the first who wait
            while not unit.settled:
                batch = min(len(self._waiting), MOST_PER_COMMIT)
                await self._commit([self._waiting.popleft() for _ in range(batch)])
        if unit.error is not None:
            raise unit.error
        return unit.result  # type: ignore[return-value]  # set where there is no error; None may be a Result

    async def _commit(self, units: list[_Unit[Any]]) -> None:
        try:
            async with self._database.transaction():
                for unit in units:
                    await unit.attempt(self._database, self._session)
        except BaseException as error:
            for unit in units:
                unit.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            for unit in units:
                unit.settled = True
