"""Importing, starting and following runs at a server that was reached, and saying how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import click

from realtime.cli_documents import Found
from realtime.cli_errors import BadUseError, CommandError, StoppedError
from realtime.cli_reach import Reached
from realtime.client import RunClientError, RunEvent, ServerRefusedError
from realtime.ports import DocumentInfo
from realtime.progress import ConnectionNotes, Display, make_display, printable
from realtime.snapshot import RunSnapshot

Keep = Callable[[str, bytes], Awaitable[DocumentInfo]]
_BAD_USE = frozenset({"INVALID_AGENT_TYPE", "DUPLICATE_AGENT", "NO_AGENTS_SELECTED", "INVALID_PIPELINE_MODE"})


async def import_documents(found: Iterable[Found], keep: Keep) -> int:
    """Keep every document that can be kept, name the others with the reason; how many were kept.

    Raises:
        CommandError: not one was.

    """
    kept = skipped = 0
    for document in found:
        problem = document.problem or await _try(keep, document)
        if problem is None:
            kept += 1
            continue
        skipped += 1
        click.echo(f"skipped {printable(document.name)}: {printable(problem)}", err=True)
    summary = f"{kept} documents imported, {skipped} skipped"
    if not kept:
        raise CommandError(f"Nothing was imported ({skipped} skipped).")
    click.echo(summary, err=True)
    return kept


async def _try(keep: Keep, document: Found) -> str | None:
    """Why the document cannot be kept; None: it was, and that was said."""
    try:
        info = await keep(document.name, document.content)
    except (CommandError, ServerRefusedError) as error:
        message = error.message if isinstance(error, ServerRefusedError) else str(error)
        return message.removeprefix(f"{document.name} ").rstrip(".")
    click.echo(f"imported {printable(info.path)} (version {info.version}, {info.size} bytes)")
    return None


async def start(reached: Reached, agents: list[str] | None, mode: str) -> RunSnapshot:
    """Start a run of ``agents`` (None: all there are) and say how it is called.

    Raises:
        BadUseError: the server does not know such agents.

    """
    selected = agents or [agent.agent_type for agent in await reached.client.agents()]
    try:
        run = await reached.client.start_run(selected, pipeline_mode=mode)
    except ServerRefusedError as refused:
        if refused.code in _BAD_USE:
            raise BadUseError(refused.message) from None
        raise CommandError(refused.message) from None
    click.echo(f"Run {run.id} of {', '.join(run.agents_selected)} ({run.pipeline_mode})", err=True)
    return run


async def follow(reached: Reached, run_id: str, last_event_id: int = 0) -> bool:
    """Show the run until it ends; True: it succeeded.

    Raises:
        StoppedError: this process was asked to end before. The run goes on; it was said how to watch it again.

    """
    seen = [last_event_id]
    try:
        return await reached.unless_stopped(_follow(reached, run_id, seen))
    except (asyncio.CancelledError, StoppedError):
        goes_on = "goes on at the server" if reached.inside is None else "continues when its home is served again"
        click.echo(f"\nThe run {goes_on}. To watch it: {_again(reached, run_id, seen[0])}", err=True)
        raise


def _again(reached: Reached, run_id: str, cursor: int) -> str:
    return f"runcast watch {run_id} {reached.target.options} --last-event-id {cursor}"


async def _follow(reached: Reached, run_id: str, seen: list[int]) -> bool:
    notes = ConnectionNotes()
    with make_display() as display:

        def tell(text: str | None) -> None:
            if text is not None:
                display.say(text)

        async with reached.client.watch(
            run_id, seen[0], on_connection=lambda state: tell(notes.note(state))
        ) as watch:
            async for item in watch:
                seen[0] = item.id
                display.show(item)
                if isinstance(item, RunEvent) and item.terminal:
                    break
        run = await reached.client.get_run(run_id)
        await _show_results(reached, run, display)
    return run.status == "completed"


async def _show_results(reached: Reached, run: RunSnapshot, display: Display) -> None:
    display.say(f"Run {run.id}: {run.status}" + (f" ({printable(run.error_message)})" if run.error_message else ""))
    for artifact in reversed(await reached.client.list_artifacts(run.id, run.project_id)):
        display.say(f"  {artifact.agent_type}: {printable(artifact.title)}")
    if reached.inside is None:
        display.say(f"  {reached.client.url}/projects/{run.project_id}/runs/{run.id}")
