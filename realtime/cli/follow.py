"""Importing, starting and following runs at a server that was reached, and saying how it went."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import click

from realtime.cli.documents import Found, find_documents
from realtime.cli.errors import BadUseError, CommandError, StoppedError
from realtime.cli.progress import ConnectionNotes, make_display, printable
from realtime.cli.reach import Reached, refused
from realtime.client import ConnectionState, ServerRefusedError
from realtime.ports import DocumentInfo
from realtime.snapshot import RunSnapshot

Keep = Callable[[str, bytes], Awaitable[DocumentInfo]]
_ABOUT_THE_DOCUMENT = frozenset({"INVALID_DOCUMENT", "DOCUMENT_TOO_LARGE"})
_BAD_USE = frozenset({"INVALID_AGENT_TYPE", "DUPLICATE_AGENT", "NO_AGENTS_SELECTED", "INVALID_PIPELINE_MODE"})
FIRST_CONNECTION_S = 30.0
"""How long a server may stay out of reach before anything was heard of it; once it answered, it may stay away."""


async def import_documents(paths: Sequence[Path], keep: Keep, *, name_each: bool = False) -> None:
    """Keep every document at ``paths`` that can be kept; name the others with the reason, with ``name_each`` all.

    Raises:
        CommandError: not one was kept.

    """
    kept = skipped = 0
    for document in find_documents(paths):
        try:
            info = await _keep(document, keep)
        except CommandError as problem:
            skipped += 1
            click.echo(f"skipped {printable(document.name)}: {printable(problem)}", err=True)
            continue
        kept += 1
        if name_each:
            click.echo(f"imported {printable(info.path)} (version {info.version}, {info.size} bytes)")
    if not kept + skipped:
        raise CommandError(f"no Markdown or text files found in {', '.join(map(str, paths))}")
    if not kept:
        raise CommandError(f"Nothing was imported ({skipped} skipped).")
    click.echo(f"Documents: {kept} imported, {skipped} skipped", err=True)


async def _keep(document: Found, keep: Keep) -> DocumentInfo:
    if document.problem is not None:
        raise CommandError(document.problem)
    try:
        return await keep(document.name, document.content)
    except (CommandError, ServerRefusedError) as error:
        if isinstance(error, ServerRefusedError) and error.code not in _ABOUT_THE_DOCUMENT:
            raise
        message = error.message if isinstance(error, ServerRefusedError) else str(error)
        raise CommandError(message.removeprefix(f"{document.name} ").rstrip(".")) from None


async def choose_agents(reached: Reached, wanted: list[str] | None) -> list[str]:
    """The agents that are ``wanted``; None: all that the server has.

    Raises:
        BadUseError: one of them is none of the server's, or is named twice.

    """
    known = [agent.agent_type for agent in await reached.client.agents()]
    for name, times in Counter(known if wanted is None else wanted).items():
        if name not in known:
            raise BadUseError(f"there is no agent {name!r}; expected some of {', '.join(known)}")
        if times > 1:
            raise BadUseError(f"the agent {name} is named {times} times; expected each once")
    return known if wanted is None else wanted


async def start(reached: Reached, agents: list[str], mode: str, *, use_cache: bool) -> RunSnapshot:
    """Start a run of ``agents`` and say how it is called.

    Raises:
        BadUseError: they cannot be run together.

    """
    try:
        run = await reached.client.start_run(
            agents, pipeline_mode=mode, project_id=reached.project_id, use_cache=use_cache
        )
    except ServerRefusedError as refused:
        if refused.code in _BAD_USE:
            raise BadUseError(refused.message) from None
        raise CommandError(refused.message) from None
    click.echo(f"Run {run.id} of {', '.join(run.agents_selected)} ({run.pipeline_mode})", err=True)
    return run


async def retry(reached: Reached, run_id: str) -> RunSnapshot:
    """Start a run that does again what that run did not complete, and say how it is called.

    Raises:
        CommandError: there is no such run, or it cannot be done again.

    """
    with refused():
        run = await reached.client.retry_run(run_id, reached.project_id)
    reused = [step.agent_type for step in run.steps if step.reused]
    kept = f", {', '.join(reused)} reused" if reused else ""
    click.echo(f"Run {run.id} does run {run_id} again ({run.pipeline_mode}{kept})", err=True)
    return run


async def retry_to_end(reached: Reached, run_id: str) -> bool:
    """Do a run again, and show the new one until it ends; True: it succeeded. Raises as `retry` and `follow`."""
    run = await reached.unless_stopped(retry(reached, run_id))
    return await follow(reached, run.id)


async def run_to_end(
    reached: Reached, wanted: list[str] | None, mode: str, paths: Sequence[Path], *, use_cache: bool = True
) -> bool:
    """Import ``paths``, start a run of the agents that are ``wanted``, and show it until it ends; True: it succeeded.

    Raises what `choose_agents`, `import_documents`, `start` and `follow` raise.
    """
    agents = await reached.unless_stopped(choose_agents(reached, wanted))
    if paths:
        await reached.unless_stopped(import_documents(paths, reached.upload))
    run = await reached.unless_stopped(start(reached, agents, mode, use_cache=use_cache))
    return await follow(reached, run.id)


async def follow(reached: Reached, run_id: str, last_event_id: int = 0) -> bool:
    """Show the run until it ends; True: it succeeded.

    Raises:
        StoppedError: this process was asked to end before. The run goes on, and it was said how to watch or end it.
        CommandError: no connection was made within `FIRST_CONNECTION_S`; one that breaks later is made anew for ever.

    """
    try:
        return await reached.unless_stopped(_follow(reached, run_id, last_event_id))
    except (asyncio.CancelledError, StoppedError):
        goes_on = "goes on at the server" if reached.inside is None else "continues when its home is served again"
        about = f"{run_id} {reached.target.options}"
        click.echo(f"The run {goes_on}. To watch it: runcast watch {about}", err=True)
        click.echo(f"To end it: runcast cancel {about}", err=True)
        raise


async def _follow(reached: Reached, run_id: str, last_event_id: int) -> bool:
    notes, display, patience = ConnectionNotes(), make_display(), asyncio.timeout(FIRST_CONNECTION_S)

    def tell(state: ConnectionState) -> None:
        if state.state == "live":
            patience.reschedule(None)
        if (text := notes.note(state)) is not None:
            display.say(text)

    try:
        with display:
            async with patience, reached.client.watch(run_id, last_event_id, on_connection=tell) as watch:
                async for item in watch:
                    display.show(item)
    except TimeoutError:
        raise CommandError(f"{reached.client.url} was not reached within {FIRST_CONNECTION_S:g} s") from None
    run = await reached.client.get_run(run_id)
    for line in await _results(reached, run):
        display.say(printable(line))
    return run.status == "completed"


async def _results(reached: Reached, run: RunSnapshot) -> list[str]:
    artifacts = await reached.client.list_artifacts(run.id, run.project_id)
    return [
        f"Run {run.id}: {run.status}" + (f" ({run.error_message})" if run.error_message else ""),
        *(f"  {artifact.agent_type}: {artifact.title}" for artifact in reversed(artifacts)),
        f"  {reached.client.url}/projects/{run.project_id}/runs/{run.id}"
        if reached.stays
        else f"To look at it: runcast serve {reached.target.place.options}",
    ]
