"""The commands for people who work in a project: import, run, watch, cancel, retry."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from realtime.cli.finish import finish
from realtime.cli.options import paths_argument, project_target_options, target_options
from realtime.cli.target import Target


@click.command("import")
@project_target_options
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="PATH...")
def import_(target: Target, paths: tuple[Path, ...]) -> None:
    """Import Markdown and text files; folders are walked, hidden ones and those of tools are left out."""
    finish(_import(target, paths))


async def _import(target: Target, paths: tuple[Path, ...]) -> int:
    from realtime.cli.follow import import_documents  # noqa: PLC0415
    from realtime.cli.reach import reach_documents  # noqa: PLC0415

    async with reach_documents(target) as keep:
        await import_documents(paths, keep, name_each=True)
    return 0


@click.command()
@project_target_options
@click.option("--agents", help="Agents in order, with commas between.  [default: all]")
@click.option(
    "--mode",
    type=click.Choice(["sequential", "parallel"]),
    default="sequential",
    show_default=True,
    help="How agents follow each other.",
)
@click.option("--no-cache", is_flag=True, help="Ask the language model even what it was asked before.")
@paths_argument
def run(target: Target, agents: str | None, mode: str, no_cache: bool, paths: tuple[Path, ...]) -> None:
    """Start a run over the project's documents and watch it; PATHs are imported first.

    Without a server for the home, one runs inside this command for as long as it takes.
    """
    selected = None if agents is None else [name.strip() for name in agents.split(",")]
    finish(_run(target, selected, mode, paths, use_cache=not no_cache))


async def _run(
    target: Target, agents: list[str] | None, mode: str, paths: tuple[Path, ...], *, use_cache: bool
) -> int:
    from realtime.cli.follow import run_to_end  # noqa: PLC0415
    from realtime.cli.reach import reach  # noqa: PLC0415
    from realtime.roles import Action  # noqa: PLC0415

    async with reach(target, Action.START_RUN) as reached:
        return 0 if await run_to_end(reached, agents, mode, paths, use_cache=use_cache) else 1


@click.command()
@click.argument("run_id", type=click.UUID)
@target_options
@click.option("--last-event-id", type=click.IntRange(0), default=0, help="Show only what came after this event.")
def watch(target: Target, run_id: UUID, last_event_id: int) -> None:
    """Watch a run until it ends; one that has ended is shown again."""
    finish(_watch(target, str(run_id), last_event_id))


async def _watch(target: Target, run_id: str, last_event_id: int) -> int:
    from realtime.cli.follow import follow  # noqa: PLC0415
    from realtime.cli.reach import reach  # noqa: PLC0415
    from realtime.roles import Action  # noqa: PLC0415

    _check_place(target)
    async with reach(target, Action.STREAM, run_id) as reached:
        return 0 if await follow(reached, run_id, last_event_id) else 1


@click.command()
@click.argument("run_id", type=click.UUID)
@target_options
def cancel(target: Target, run_id: UUID) -> None:
    """End a run that is not wanted any more; the artifacts of its finished steps stay.

    It works whichever server carries the run out, and without any. A run that has ended stays as it is, which is told
    and is no error.
    """
    finish(_cancel(target, str(run_id)))


async def _cancel(target: Target, run_id: str) -> int:
    from realtime.cli.progress import printable  # noqa: PLC0415
    from realtime.cli.reach import cancel_run  # noqa: PLC0415

    _check_place(target)
    run = await cancel_run(target, run_id)
    if run.status == "cancelled":
        click.echo(f"Run {run.id} is cancelled. To do it again: runcast retry {run.id} {target.options}")
    else:
        why = f" ({run.error_message})" if run.error_message else ""
        click.echo(printable(f"Run {run.id} had ended before: {run.status}{why}"))
    return 0


@click.command()
@click.argument("run_id", type=click.UUID)
@target_options
def retry(target: Target, run_id: UUID) -> None:
    """Do a run again that failed or was cancelled, and watch it.

    A new run keeps the artifacts of the steps that had completed, and carries out the others. Without a server for
    the home, one runs inside this command for as long as it takes.
    """
    finish(_retry(target, str(run_id)))


async def _retry(target: Target, run_id: str) -> int:
    from realtime.cli.follow import retry_to_end  # noqa: PLC0415
    from realtime.cli.reach import reach  # noqa: PLC0415
    from realtime.roles import Action  # noqa: PLC0415

    _check_place(target)
    async with reach(target, Action.START_RUN, run_id) as reached:
        return 0 if await retry_to_end(reached, run_id) else 1


def _check_place(target: Target) -> None:
    """Return where runs were kept before, so that one of them can be meant."""
    from realtime.cli.inside import check_home  # noqa: PLC0415

    if target.url is None:
        check_home(target.place, "name it with --home, or a server with --url")
