"""What happens to runs elsewhere than in the page: the local user starts and ends them there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from live_server import LiveServer

from realtime.events import RunKey
from realtime.ports import RunRequest
from realtime.snapshot import RunSnapshot


def start_run(server: LiveServer, *agents: str) -> str:
    """Start a run of these agents, one after another; its id."""
    home = server.home
    wanted = RunRequest(agents_selected=agents)
    return server.call(home.backend.runs.start_run(home.user.tenant, home.project_id, wanted, home.user.id)).id


def complete_run(server: LiveServer, agent: str) -> str:
    """A run of that agent from its start to its success; its id."""
    run_id = start_run(server, agent)
    server.stage.finish(agent)
    return run_once(server, run_id, lambda run: run.status == "completed").id


def cancel_run(server: LiveServer, run_id: str) -> None:
    """Cancel a run; it has ended when this returns."""
    server.call(server.home.backend.runs.cancel_run(_key(server, run_id), server.home.user.id))


def retry_run(server: LiveServer, run_id: str) -> str:
    """Do a run that has ended again; the id of the new one."""
    return server.call(server.home.backend.runs.retry_run(_key(server, run_id), None, server.home.user.id)).id


def run_once(server: LiveServer, run_id: str, fact: Callable[[RunSnapshot], bool]) -> RunSnapshot:
    """The run, once it is so."""

    async def look() -> RunSnapshot:
        async with asyncio.timeout(30):
            while (run := await server.home.backend.runs.get_run(_key(server, run_id))) is None or not fact(run):
                await asyncio.sleep(0.01)
            return run

    return server.call(look())


def _key(server: LiveServer, run_id: str) -> RunKey:
    return RunKey(server.home.user.tenant, run_id)
