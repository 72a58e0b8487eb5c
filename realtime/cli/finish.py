"""How a command ends: its work is done in a loop of its own, and comes to an exit code and at most one line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

import click

from realtime.cli.errors import BadUseError, CommandError, StoppedError

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""


def finish(work: Coroutine[Any, Any, int]) -> None:
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
