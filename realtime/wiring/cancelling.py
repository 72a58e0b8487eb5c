"""Cancelling a run in its store, beside whoever serves that, or nobody."""

from __future__ import annotations

from realtime.events import RunKey
from realtime.roles import Action
from realtime.settings import Settings
from realtime.snapshot import RunSnapshot
from realtime.wiring.callers import Caller, find_user, project_of_run
from realtime.wiring.home import open_home


async def cancel_run(settings: Settings, caller: Caller, run_id: str) -> RunSnapshot | None:
    """The run, ended by the caller or before; None: their tenant has no such run. No run is carried out for this.

    Raises:
        MissingError: there is no such caller, or their role does not allow it.
        StoreError: the store cannot be used.

    """
    async with open_home(settings) as home:
        user = await find_user(home.store, caller)
        if await project_of_run(home.store, user, run_id, Action.CANCEL_RUN) is None:
            return None
        return await home.backend.runs.cancel_run(RunKey(user.tenant, run_id), user.id)
