"""The documents of the tenants' projects, with all their versions."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple
from uuid import uuid4

import msgspec

from orchestrator.errors import InvalidDocumentError, ProjectNotFoundError
from orchestrator.events import UNSTORABLE
from orchestrator.records import NO_QUOTA, Document, Quota
from orchestrator.store.base import LARGEST_INTEGER, Databases, Session, bounded, read_or, write_or
from orchestrator.store.quotas import check_documents

PROJECT = "SELECT 1 AS found FROM {tenant}.projects WHERE id = :project_id"

NEXT_VERSION = """
    INSERT INTO {tenant}.documents AS kept (id, project_id, path, version, size, digest, created_at)
    VALUES (:id, :project_id, :path, 1, :size, :digest, {now})
    ON CONFLICT (project_id, path) DO UPDATE
    SET version = kept.version + 1, size = excluded.size, digest = excluded.digest, created_at = excluded.created_at
    WHERE kept.digest <> excluded.digest
    RETURNING id, project_id, path, version, size, created_at
"""

INSERT_TEXT = """
    INSERT INTO {tenant}.document_versions (document_id, version, text, size, added_by, created_at)
    VALUES (:document_id, :version, :text, :size, :added_by, :created_at)
"""

BY_PATH = """
    SELECT id, project_id, path, version, size, created_at FROM {tenant}.documents
    WHERE project_id = :project_id AND path = :path
"""

COUNT = "SELECT count(*) AS total FROM {tenant}.documents WHERE project_id = :project_id"

ALL = """
    SELECT d.id, d.project_id, d.path, d.version, d.size, d.created_at
    FROM {tenant}.documents d
    WHERE d.project_id = :project_id
"""

ALL_WITH_TEXT = """
    SELECT d.id, d.project_id, d.path, d.version, d.size, d.created_at, v.text
    FROM {tenant}.documents d
    JOIN {tenant}.document_versions v ON v.document_id = d.id AND v.version = d.version
    WHERE d.project_id = :project_id
"""

IN_ORDER = "AND d.path {by_code_point} > :after ORDER BY d.path {by_code_point} LIMIT :limit"

ONE_WITH_TEXT = f"{ALL_WITH_TEXT.rstrip()} AND d.id = :id"

DELETE = "DELETE FROM {tenant}.documents WHERE id = :id AND project_id = :project_id RETURNING id"


class _Given(NamedTuple):
    """A document to keep, measured before the database is held."""

    path: str
    text: str
    size: int
    digest: str

    @classmethod
    def of(cls, path: str, text: str) -> _Given:
        if UNSTORABLE.search(path) or UNSTORABLE.search(text):
            raise InvalidDocumentError(f"{path[:64]!r} or its text has a NUL or no UTF-8; expected text.")
        content = text.encode()
        return cls(path, text, len(content), sha256(content).hexdigest())


class DocumentStore:
    """`orchestrator.ports.DocumentStore` on any of the databases. A tenant that does not exist has nothing."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def add_documents(
        self,
        tenant: str,
        project_id: str,
        documents: Sequence[tuple[str, str]],
        added_by: str | None = None,
        quota: Quota = NO_QUOTA,
    ) -> tuple[Document, ...]:
        """See `orchestrator.ports.DocumentStore.add_documents`."""
        given = [_Given.of(path, text) for path, text in documents]

        async def add(session: Session) -> tuple[Document, ...]:
            if await session.fetch_one(PROJECT, project_id=project_id) is None:
                raise ProjectNotFoundError(f"Tenant {tenant!r} has no project {project_id!r}.")
            kept = await _keep_all(session, project_id, given, added_by)
            await check_documents(session, project_id, added_by, quota)
            return kept

        return await self._databases.write_in_turn(tenant, add)

    async def list_documents(
        self,
        tenant: str,
        project_id: str,
        limit: int | None = None,
        after: str = "",
        *,
        with_text: bool = False,
    ) -> tuple[Document, ...]:
        """See `orchestrator.ports.DocumentStore.list_documents`."""
        sql = (ALL_WITH_TEXT if with_text else ALL) + IN_ORDER

        most = LARGEST_INTEGER if limit is None else bounded(limit)

        async def read(session: Session) -> tuple[Document, ...]:
            rows = await session.fetch_all(sql, project_id=project_id, after=after, limit=most)
            return msgspec.convert(rows, tuple[Document, ...])

        return await read_or(self._databases, tenant, read, ())

    async def count_documents(self, tenant: str, project_id: str) -> int:
        """See `orchestrator.ports.DocumentStore.count_documents`."""

        async def read(session: Session) -> int:
            row = await session.fetch_one(COUNT, project_id=project_id)
            return 0 if row is None else int(row["total"])

        return await read_or(self._databases, tenant, read, 0)

    async def get_document(self, tenant: str, project_id: str, document_id: str) -> Document | None:
        """See `orchestrator.ports.DocumentStore.get_document`."""

        async def read(session: Session) -> Document | None:
            row = await session.fetch_one(ONE_WITH_TEXT, project_id=project_id, id=document_id)
            return None if row is None else msgspec.convert(row, Document)

        return await read_or(self._databases, tenant, read, None)

    async def delete_document(self, tenant: str, project_id: str, document_id: str) -> bool:
        """See `orchestrator.ports.DocumentStore.delete_document`."""

        async def delete(session: Session) -> bool:
            return await session.fetch_one(DELETE, id=document_id, project_id=project_id) is not None

        return await write_or(self._databases, tenant, delete, nothing=False)


async def _keep_all(
    session: Session, project_id: str, given: Sequence[_Given], added_by: str | None
) -> tuple[Document, ...]:
    """What is kept of each, as they were given; by path, so that two units lock the same rows in the same order."""
    kept: dict[int, Document] = {}
    for place in sorted(range(len(given)), key=lambda place: given[place].path):
        kept[place] = await _keep(session, project_id, given[place], added_by)
    return tuple(kept[place] for place in range(len(given)))


async def _keep(session: Session, project_id: str, given: _Given, added_by: str | None) -> Document:
    row = await session.fetch_one(
        NEXT_VERSION, id=str(uuid4()), project_id=project_id, path=given.path, size=given.size, digest=given.digest
    )
    if row is None:  # the newest version is equal
        return msgspec.convert(await session.fetch_one(BY_PATH, project_id=project_id, path=given.path), Document)
    document = msgspec.convert(row, Document)
    await session.execute(
        INSERT_TEXT,
        document_id=document.id,
        version=document.version,
        text=given.text,
        size=given.size,
        added_by=added_by,
        created_at=document.created_at,
    )
    return document
