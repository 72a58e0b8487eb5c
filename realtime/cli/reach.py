"""Reaching a server from the command line: the one named, the one that serves the home, or one inside here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import msgspec

from realtime.cli.errors import CommandError, InUseError, StoppedError
from realtime.cli.inside import admitted, cancelled, opened, read_settings
from realtime.cli.served import ANSWER_S, Served, connect, find_running, served
from realtime.cli.target import Target
from realtime.client import RunClient, ServerRefusedError
from realtime.ports import DocumentInfo
from realtime.roles import Action
from realtime.snapshot import RunSnapshot

_T = TypeVar("_T")

CANCEL_ANSWER_S = 0.7
"""A server that is slower may be frozen, and a run is cancelled without it just as well."""


class Reached:
    """A server that answers, and the project that is meant there; None: the first that the user is in.

    ``inside``: the server is part of this process. ``stays``: it outlives the run.
    """

    def __init__(
        self,
        client: RunClient,
        target: Target,
        project_id: str | None = None,
        inside: Served | None = None,
        *,
        stays: bool = False,
    ) -> None:
        self.client = client
        self.target = target
        self.project_id = project_id
        self.inside = inside
        self.stays = stays or inside is None

    async def upload(self, path: str, content: bytes) -> DocumentInfo:
        """Keep a document in the project."""
        return await self.client.upload(path, content, self.project_id)

    async def unless_stopped(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of ``work``; where the server is inside and ends first, ``work`` is cancelled.

        Raises:
            StoppedError: the server inside was told to end.

        """
        if self.inside is None:
            return await work
        working, ending = asyncio.ensure_future(work), asyncio.ensure_future(self.inside.ending())
        try:
            await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise StoppedError
        finally:
            for task in (working, ending):
                task.cancel()
            await asyncio.wait({working, ending})


@contextlib.asynccontextmanager
async def reach(target: Target, action: Action, run_id: str | None = None) -> AsyncIterator[Reached]:
    """The server that is meant; where nobody serves the home, one inside this process, on a free port.

    Raises:
        CommandError: whoever is named may not do ``action`` there, or the home cannot be served.

    """
    async with _reach_running(target, action, run_id) as reached:
        if reached is not None:
            yield reached
            return
    admission = await admitted(target, action, run_id)
    settings = read_settings(target.place, host="127.0.0.1", port=0, log_level="warning")
    settings = msgspec.structs.replace(settings, metrics_port=None)  # that port is for a server that stays
    async with contextlib.AsyncExitStack() as stack:
        try:
            inside = await stack.enter_async_context(served(settings))
        except InUseError as error:
            raise CommandError(
                f"{str(error).rstrip('.')}. To work through that server, name it with --url."
            ) from None
        client = await stack.enter_async_context(inside.connect(admission.token))
        yield Reached(client, target, admission.project_id, inside)


@contextlib.asynccontextmanager
async def reach_documents(target: Target) -> AsyncIterator[Callable[[str, bytes], Awaitable[DocumentInfo]]]:
    """How to keep a document in the project that is meant, at its server, or in its home where nobody serves that.

    Raises:
        CommandError: whoever is named may not import there, or the home cannot be used.

    """
    async with _reach_running(target, Action.WRITE_DOCUMENTS) as reached:
        if reached is not None:
            yield reached.upload
            return
    async with opened(target) as project:
        yield project.upload


async def cancel_run(target: Target, run_id: str) -> RunSnapshot:
    """The run, ended: through the server that is meant, or in its home where none answers.

    Raises:
        CommandError: there is no such run, whoever is named may not cancel it, or the home cannot be used.

    """
    async with _reach_running(target, Action.CANCEL_RUN, run_id, answer_s=CANCEL_ANSWER_S) as reached:
        if reached is not None:
            with refused():
                return await reached.client.cancel_run(run_id, reached.project_id)
    return await cancelled(target, run_id)


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """What a server refuses becomes a `CommandError` in its words."""
    try:
        yield
    except ServerRefusedError as error:
        raise CommandError(error.message) from None


@contextlib.asynccontextmanager
async def _reach_running(
    target: Target, action: Action, run_id: str | None = None, *, answer_s: float = ANSWER_S
) -> AsyncIterator[Reached | None]:
    """The server that is meant, if it runs and answers; None: nobody serves the home."""
    if target.url is not None:
        async with RunClient(target.url, target.token) as client:
            yield Reached(client, target, await _find_project(client, target.named.project))
        return
    running = await find_running(target.place, answer_s=answer_s)
    if running is None:
        yield None
        return
    admission = await admitted(target, action, run_id)
    async with connect(running, admission.token) as client:
        yield Reached(client, target, admission.project_id)


async def _find_project(client: RunClient, slug: str | None) -> str | None:
    """The id of the user's project of that slug; None: none was named."""
    if slug is None:
        return None
    projects = await client.projects()
    for project in projects:
        if project.slug == slug:
            return project.id
    known = ", ".join(project.slug for project in projects) or "none"
    raise CommandError(f"The token's user is in no project {slug!r}; those there are: {known}")
