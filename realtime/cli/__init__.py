"""The command ``runcast``: serve, import, run, watch, token, demo. Fast to start: commands import what they need."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from click.core import ParameterSource

from realtime import __version__
from realtime.cli.errors import BadUseError, CommandError, StoppedError

if TYPE_CHECKING:
    from realtime.cli.reach import Reached, Target

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""
DEMO_PACE_S = 5.0

home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="RUNCAST_HOME",
    default=Path(".runcast"),
    show_default=True,
    show_envvar=True,
    help="Folder with everything that a local server keeps.",
)
url_option = click.option(
    "--url",
    envvar="RUNCAST_URL",
    show_envvar=True,
    help="A server elsewhere; RUNCAST_TOKEN says who asks. Default: the server of the home.",
)
_Command = Callable[..., None]


def target_options(command: _Command) -> _Command:
    """``--url`` and ``--home``, given to the command as one ``target``."""

    def with_target(context: click.Context, /, url: str | None, home: Path, **rest: Any) -> None:
        command(target=_target(context, url, home), **rest)

    functools.update_wrapper(with_target, command)
    return url_option(home_option(click.pass_context(with_target)))


paths_argument = click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[PATH]...")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="runcast")
def main() -> None:
    """Run pipelines of AI agents over a project's documents, and watch them live.

    Exit code 0 is success, 1 a failed run or an error, 2 bad use, 130 Ctrl-C.
    """


@main.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8000]")
@home_option
def serve(host: str | None, port: int | None, home: Path) -> None:
    """Serve the home until Ctrl-C or SIGTERM; viewers are told to come back."""
    _finish(_serve(host, port, home))


async def _serve(host: str | None, port: int | None, home: Path) -> int:
    from realtime.cli.inside import read_settings, served  # noqa: PLC0415
    from realtime.cli.reach import Target  # noqa: PLC0415

    async with served(read_settings(home, host=host, port=port)) as server:
        click.echo(f"Serving {home} at {server.url}")
        click.echo(f"To sign in, once: {await server.home.sign_in_link(server.url)}")
        click.echo(f"For another link: runcast token --link {Target(home).options}")
        await server.ending()
    return 0


@main.command()
@home_option
@click.option("--link", is_flag=True, help="A link that signs one browser in, once, in place of a token.")
def token(home: Path, link: bool) -> None:
    """Print a token of the home's own user, for programs; or a sign-in link, for a person."""
    _finish(_token(home, link))


async def _token(home: Path, link: bool) -> int:
    from realtime.cli.inside import find_running, is_home, make_link, make_token  # noqa: PLC0415
    from realtime.cli.reach import Target  # noqa: PLC0415

    to_serve = f"runcast serve {Target(home).options}"
    if not is_home(home):
        raise CommandError(f"There is no home {home}; make one with: {to_serve}")
    if not link:
        click.echo(await make_token(home))
        return 0
    url = await find_running(home)
    if url is None:
        raise CommandError(f"No server serves {home}; start one with: {to_serve}")
    click.echo(await make_link(home, url))
    return 0


@main.command("import")
@target_options
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="PATH...")
def import_(target: Target, paths: tuple[Path, ...]) -> None:
    """Import Markdown and text files; folders are walked, hidden ones and those of tools are left out."""
    _finish(_import(target, paths))


async def _import(target: Target, paths: tuple[Path, ...]) -> int:
    from realtime.cli.follow import import_documents  # noqa: PLC0415
    from realtime.cli.inside import opened  # noqa: PLC0415
    from realtime.cli.reach import reach_running  # noqa: PLC0415

    async with reach_running(target) as reached:
        if reached is not None:
            await import_documents(paths, reached.client.upload, name_each=True)
            return 0
    async with opened(target.home) as home:
        await import_documents(paths, home.upload, name_each=True)
    return 0


@main.command()
@target_options
@click.option("--agents", help="Agents in order, with commas between.  [default: all]")
@click.option(
    "--mode",
    type=click.Choice(["sequential", "parallel"]),
    default="sequential",
    show_default=True,
    help="How agents follow each other.",
)
@paths_argument
def run(target: Target, agents: str | None, mode: str, paths: tuple[Path, ...]) -> None:
    """Start a run over the project's documents and watch it; PATHs are imported first.

    Without a server for the home, one runs inside this command for as long as it takes.
    """
    selected = None if agents is None else [name.strip() for name in agents.split(",")]
    _finish(_run(target, selected, mode, paths))


async def _run(target: Target, agents: list[str] | None, mode: str, paths: tuple[Path, ...]) -> int:
    from realtime.cli.reach import reach  # noqa: PLC0415

    async with reach(target) as reached:
        return await _run_at(reached, agents, mode, paths)


async def _run_at(reached: Reached, agents: list[str] | None, mode: str, paths: tuple[Path, ...]) -> int:
    from realtime.cli.follow import choose_agents, follow, import_documents, start  # noqa: PLC0415

    selected = await reached.unless_stopped(choose_agents(reached, agents))
    if paths:
        await reached.unless_stopped(import_documents(paths, reached.client.upload))
    started = await reached.unless_stopped(start(reached, selected, mode))
    return 0 if await follow(reached, started.id) else 1


@main.command()
@click.argument("run_id", type=click.UUID)
@target_options
@click.option("--last-event-id", type=click.IntRange(0), default=0, help="Show only what came after this event.")
def watch(target: Target, run_id: UUID, last_event_id: int) -> None:
    """Watch a run until it ends; one that has ended is shown again."""
    _finish(_watch(target, str(run_id), last_event_id))


async def _watch(target: Target, run_id: str, last_event_id: int) -> int:
    from realtime.cli.follow import follow  # noqa: PLC0415
    from realtime.cli.inside import is_home  # noqa: PLC0415
    from realtime.cli.reach import reach  # noqa: PLC0415

    if target.url is None and not is_home(target.home):
        raise CommandError(f"There is no home {target.home}; name it with --home, or a server with --url.")
    async with reach(target) as reached:
        return 0 if await follow(reached, run_id, last_event_id) else 1


@main.command()
@click.option("--once", is_flag=True, help="End with the run; the exit code is its outcome.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8000 if it is free]"
)
@click.option("--pace", type=click.FloatRange(0), default=DEMO_PACE_S, show_default=True, help="Seconds per agent.")
@click.option("--default-docs", type=click.Path(path_type=Path), default=Path("docs"), hidden=True)
@paths_argument
def demo(once: bool, port: int | None, pace: float, default_docs: Path, paths: tuple[Path, ...]) -> None:
    """Show it all: a server in a fresh home, docs/ (or PATHs) imported, a run of all agents, a link to the page.

    Without --once it goes on serving until Ctrl-C.
    """
    if not paths and not default_docs.is_dir():
        raise click.UsageError(f"There is no folder {default_docs} here; name what to import: runcast demo PATH...")
    _finish(_demo(once, _free_port(8000) if port is None else port, pace, paths or (default_docs,)))


async def _demo(once: bool, port: int, pace: float, paths: tuple[Path, ...]) -> int:
    from realtime.cli.inside import read_settings, served  # noqa: PLC0415
    from realtime.cli.reach import Reached, Target  # noqa: PLC0415
    from realtime.client import RunClient  # noqa: PLC0415

    home = Path(tempfile.mkdtemp(prefix="runcast-demo-"))
    settings = read_settings(home, port=port, pace_s=pace, log_level="warning")
    async with served(settings) as server, RunClient(server.url, server.home.issue_token()) as client:
        click.echo(f"Home     {home}\nServer   {server.url}\nSign in  {await server.home.sign_in_link(server.url)}")
        code = await _run_at(Reached(client, Target(home), server, stays=not once), None, "sequential", paths)
        if not once:
            click.echo("Serving until Ctrl-C.")
            await server.ending()
    return code


def _free_port(wanted: int) -> int:
    """``wanted`` if nobody listens there, else 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", wanted))
            return wanted
    return 0


def _target(context: click.Context, url: str | None, home: Path) -> Target:
    """Which server is meant: what was typed goes before what the environment says."""
    from realtime.cli.reach import Target  # noqa: PLC0415

    def typed(name: str) -> bool:
        return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    if url is None or (typed("home") and not typed("url")):
        return Target(home)
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--url is {url!r}; expected http://... or https://...")
    if not os.environ.get("RUNCAST_TOKEN"):
        raise click.UsageError(
            "RUNCAST_TOKEN is not set; expected a token of that server (runcast token prints one)."
        )
    return Target(home, url, os.environ["RUNCAST_TOKEN"])


def _finish(work: Coroutine[Any, Any, int]) -> None:
    """Do the work and exit with its code; what went wrong is one line on standard error."""
    from realtime.client.errors import RunClientError  # noqa: PLC0415

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(work)
    except (KeyboardInterrupt, StoppedError):
        code = INTERRUPTED
    except BadUseError as error:
        raise click.UsageError(str(error)) from None
    except BrokenPipeError:
        raise  # click ends quietly when nobody reads on
    except Exception as error:
        expected = isinstance(error, CommandError | RunClientError)
        if os.environ.get("RUNCAST_LOG_LEVEL") == "debug" and (error.__cause__ or not expected):
            raise
        raise click.ClickException(str(error) if expected else f"{type(error).__name__}: {error}") from None
    raise SystemExit(code)


def _loop_factory() -> Any:
    """uvloop where it is installed, else asyncio's own loop."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.new_event_loop
