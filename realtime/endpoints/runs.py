"""Agents, projects and runs: the catalogue, starting, cancelling and retrying a run, snapshots."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from quart import Blueprint, Response, request

from realtime.durations import usual_range
from realtime.endpoints.answers import answer, read_body, read_limit
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import asked_id, enter_project, find_run_of, identify
from realtime.events import RunKey
from realtime.ports import RunRequest
from realtime.roles import Action
from realtime.snapshot import RunSnapshot

PIPELINE_MODES = ["sequential", "parallel"]


class StartRun(msgspec.Struct, forbid_unknown_fields=True):
    """Which agents to run, ``sequential`` or ``parallel``, and the run's id, where the client chooses it.

    ``use_cache`` false: a model that costs something is asked even what it was asked before.
    """

    agents_selected: tuple[str, ...] = ()
    pipeline_mode: Annotated[str, msgspec.Meta(extra_json_schema={"enum": PIPELINE_MODES})] = "sequential"
    run_id: UUID | None = None
    use_cache: bool = True


class RetryRun(msgspec.Struct, forbid_unknown_fields=True):
    """The id of the new run, where the client chooses it."""

    run_id: UUID | None = None


def runs_blueprint(backend: Backend) -> Blueprint:
    """``/api/v1/agents``, ``/api/v1/projects``, and of a project ``agent-runs`` and ``run-durations``."""
    blueprint = Blueprint("runs", __name__, url_prefix="/api/v1")

    @blueprint.get("/agents")
    async def list_agents() -> Response:
        await identify(backend)
        return answer({"agents": backend.runs.agents()})

    @blueprint.get("/projects")
    async def list_projects() -> Response:
        principal = await identify(backend)
        return answer({"projects": await backend.accounts.list_projects(principal.tenant, principal.user_id)})

    @blueprint.post("/projects/<project_id>/agent-runs")
    async def start_run(project_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.START_RUN)
        body = await read_body(StartRun)
        wanted = RunRequest(
            agents_selected=body.agents_selected,
            pipeline_mode=body.pipeline_mode,
            run_id=_text(body.run_id),
            use_cache=body.use_cache,
        )
        with backend.quotas.telling():
            run = await backend.runs.start_run(principal.tenant, project_id, wanted, principal.user_id)
        return _accepted(run)

    @blueprint.get("/projects/<project_id>/agent-runs")
    async def list_runs(project_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        before = asked_id("before", "run")
        return answer({"runs": await backend.runs.list_runs(principal.tenant, project_id, read_limit(), before)})

    @blueprint.get("/projects/<project_id>/run-durations")
    async def get_durations(project_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        agents = [agent for agent in request.args.get("agents_selected", "").split(",") if agent]
        mode = request.args.get("pipeline_mode", PIPELINE_MODES[0])
        return answer(usual_range(await backend.runs.past_durations(principal.tenant, project_id, agents, mode)))

    @blueprint.get("/projects/<project_id>/agent-runs/<run_id>")
    async def get_run(project_id: str, run_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        return answer(await find_run_of(backend, principal, project_id, run_id))

    @blueprint.post("/projects/<project_id>/agent-runs/<run_id>/cancel")
    async def cancel_run(project_id: str, run_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.CANCEL_RUN)
        run = await find_run_of(backend, principal, project_id, run_id)
        return answer(await backend.runs.cancel_run(RunKey(principal.tenant, run.id), principal.user_id))

    @blueprint.post("/projects/<project_id>/agent-runs/<run_id>/retry")
    async def retry_run(project_id: str, run_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.START_RUN)
        run = await find_run_of(backend, principal, project_id, run_id)
        body = await read_body(RetryRun) if await request.get_data() else RetryRun()
        key = RunKey(principal.tenant, run.id)
        with backend.quotas.telling():
            return _accepted(await backend.runs.retry_run(key, _text(body.run_id), principal.user_id))

    return blueprint


def _accepted(run: RunSnapshot) -> Response:
    """The answer to whoever asked for a new run."""
    response = answer(run, 201)
    response.headers["Location"] = f"/api/v1/projects/{run.project_id}/agent-runs/{run.id}"
    return response


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
