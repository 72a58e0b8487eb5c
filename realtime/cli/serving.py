"""The commands that serve until they are told to stop: serve, demo."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from realtime.cli.finish import finish
from realtime.cli.options import paths_argument, place_options
from realtime.cli.target import Place, Target

if TYPE_CHECKING:
    from realtime.cli.served import Served

DEMO_PACE_S = 5.0
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8000]")
@click.option("--tls-cert", type=FILE, help="PEM file: certificate, then those above it.  [default: none, http]")
@click.option("--tls-key", type=FILE, help="PEM file: the certificate's private key.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Port for /metrics.  [default: none, no metrics]")
@click.option("--llm-base-url", metavar="URL", help="Language model, as http://127.0.0.1:11434/v1.  [default: none]")
@click.option("--llm-model", metavar="NAME", help="Its name there; a key is given as RUNCAST_LLM_API_KEY.")
@place_options
def serve(place: Place, **flags: Any) -> None:
    """Serve the home until Ctrl-C or SIGTERM; viewers are told to come back.

    With --tls-cert and --tls-key it is served over https: HTTP/2, and HTTP/1.1 for who asks for that.

    With PostgreSQL, any number of servers may have the database, each with a home of its own for what it says about
    itself and the secret that signs tokens. Give servers and commands of one database one RUNCAST_SECRET.
    """
    finish(_serve(place, flags))


async def _serve(place: Place, flags: dict[str, Any]) -> int:
    from realtime.cli.inside import describe, read_settings  # noqa: PLC0415
    from realtime.cli.served import read_running, served  # noqa: PLC0415
    from realtime.server import spare_collector  # noqa: PLC0415

    settings = read_settings(place, **flags)
    async with served(settings) as server:
        click.echo(f"Serving {describe(place)} at {server.url}")
        running = read_running(place.home)
        if running is not None and running.metrics_url is not None:
            click.echo(f"Metrics at {running.metrics_url}")
        await _tell_how_to_sign_in(server, settings.public_url or server.url, place)
        spare_collector()
        await server.ending()
    return 0


async def _tell_how_to_sign_in(server: Served, base_url: str, place: Place) -> None:
    another = f"runcast token --link {place.options}"
    if server.home.local is None:
        click.echo(f"To sign in: {another}")
        return
    click.echo(f"To sign in, once: {await server.home.sign_in_link(base_url)}")
    click.echo(f"For another link: {another}")


@click.command()
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
    finish(_demo(once, _free_port(8000) if port is None else port, pace, paths or (default_docs,)))


async def _demo(once: bool, port: int, pace: float, paths: tuple[Path, ...]) -> int:
    from realtime.cli.follow import run_to_end  # noqa: PLC0415
    from realtime.cli.inside import read_settings  # noqa: PLC0415
    from realtime.cli.reach import Reached  # noqa: PLC0415
    from realtime.cli.served import served  # noqa: PLC0415

    place = Place(Path(tempfile.mkdtemp(prefix="runcast-demo-")))
    settings = read_settings(place, port=port, pace_s=pace, log_level="warning")
    async with served(settings) as server, server.connect(server.home.issue_token()) as client:
        link = await server.home.sign_in_link(server.url)
        click.echo(f"Home     {place.home}\nServer   {server.url}\nSign in  {link}")
        reached = Reached(client, Target(place), server.home.project_id, server, stays=not once)
        succeeded = await run_to_end(reached, None, "sequential", paths)
        if not once:
            click.echo("Serving until Ctrl-C.")
            await server.ending()
    return 0 if succeeded else 1


def _free_port(wanted: int) -> int:
    """``wanted`` if nobody listens there, else 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", wanted))
            return wanted
    return 0
