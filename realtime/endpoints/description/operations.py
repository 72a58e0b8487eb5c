"""Every operation of the REST interface: what it takes, answers and refuses. One table, next to the endpoints.

Tests hold the table and the endpoints equal: its paths and methods to the routes of the application, its answers to
what a server answers.
"""

from __future__ import annotations

from realtime.durations import DurationRange
from realtime.endpoints.description.bodies import (
    Agents,
    Health,
    Projects,
    Readiness,
    Runs,
    Session,
)
from realtime.endpoints.description.material import MATERIAL
from realtime.endpoints.description.operation import (
    BODY_ERRORS,
    JSON,
    OF_PROJECT,
    PROJECT_ERRORS,
    UUID,
    Answer,
    Operation,
    Parameter,
)
from realtime.endpoints.runs import PIPELINE_MODES, RetryRun, StartRun
from realtime.endpoints.session import SessionToken
from realtime.ports import UsageInfo
from realtime.roles import Action
from realtime.snapshot import RunSnapshot

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/agents",
        name="listAgents",
        group="runs",
        summary="The agents that a run can select",
        answers={200: Answer("The catalogue.", Agents)},
    ),
    Operation(
        method="GET",
        path="/api/v1/projects",
        name="listProjects",
        group="projects",
        summary="Your projects, and your role in each",
        answers={200: Answer("Those you are a member of.", Projects)},
    ),
    Operation(
        method="GET",
        path="/api/v1/usage",
        name="getUsage",
        group="projects",
        summary="The tokens that your tenant has spent in this month",
        answers={200: Answer("Counted over all of the tenant's projects, by the database's clock.", UsageInfo)},
    ),
    Operation(
        method="POST",
        path=f"{OF_PROJECT}/agent-runs",
        name="startRun",
        group="runs",
        summary="Start a run",
        more="With a run_id of your choice, asking twice starts one run: the same request again is answered with it.",
        action=Action.START_RUN,
        bodies={JSON: StartRun},
        answers={201: Answer("The run, accepted.", RunSnapshot, headers={"Location": "Where the run is."})},
        errors=(
            *PROJECT_ERRORS,
            *BODY_ERRORS,
            "NO_AGENTS_SELECTED",
            "INVALID_AGENT_TYPE",
            "DUPLICATE_AGENT",
            "INVALID_PIPELINE_MODE",
            "NO_DOCUMENTS",
            "BUDGET_EXCEEDED",
            "RUN_ID_CONFLICT",
        ),
    ),
    Operation(
        method="GET",
        path=f"{OF_PROJECT}/agent-runs",
        name="listRuns",
        group="runs",
        summary="The project's runs, newest first",
        action=Action.READ,
        parameters=(
            Parameter(
                "limit", "query", "How many.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
            ),
            Parameter("before", "query", "The last run id of the page before.", UUID),
        ),
        answers={200: Answer("One page; empty after the last.", Runs)},
        errors=(*PROJECT_ERRORS, "BAD_REQUEST"),
    ),
    Operation(
        method="GET",
        path=f"{OF_PROJECT}/run-durations",
        name="getRunDurations",
        group="runs",
        summary="How long such a run usually takes",
        more="Of the newest 20 runs of this project that completed with the same agents, in order, and mode, nothing "
        "of them reused or cached: the range of the middle half (quartiles). Null below 3 such runs.",
        action=Action.READ,
        parameters=(
            Parameter("agents_selected", "query", "The agents, in order, with commas between.", {"type": "string"}),
            Parameter(
                "pipeline_mode", "query", "As for a new run.", {"enum": PIPELINE_MODES, "default": "sequential"}
            ),
        ),
        answers={200: Answer("How many such runs there were, and their range in seconds.", DurationRange)},
        errors=(
            *PROJECT_ERRORS,
            "NO_AGENTS_SELECTED",
            "INVALID_AGENT_TYPE",
            "DUPLICATE_AGENT",
            "INVALID_PIPELINE_MODE",
        ),
    ),
    Operation(
        method="GET",
        path=f"{OF_PROJECT}/agent-runs/{{run_id}}",
        name="getRun",
        group="runs",
        summary="A run and its steps, now",
        action=Action.READ,
        answers={200: Answer("The snapshot, as of event last_event_id.", RunSnapshot)},
        errors=(*PROJECT_ERRORS, "RUN_NOT_FOUND"),
    ),
    Operation(
        method="POST",
        path=f"{OF_PROJECT}/agent-runs/{{run_id}}/cancel",
        name="cancelRun",
        group="runs",
        summary="End a run that is not wanted any more",
        more="Whichever server works on it, also where that answers no more. Finished steps keep their artifacts, "
        "the others end with STEP_CANCELLED, the run with CANCELLED. A run that has ended stays as it is.",
        action=Action.CANCEL_RUN,
        answers={200: Answer("The run as it ended.", RunSnapshot)},
        errors=(*PROJECT_ERRORS, "RUN_NOT_FOUND"),
    ),
    Operation(
        method="POST",
        path=f"{OF_PROJECT}/agent-runs/{{run_id}}/retry",
        name="retryRun",
        group="runs",
        summary="Do a run again that failed or was cancelled",
        more="Starts a new run, retry_of that one: steps which that completed are complete from the start, reused "
        "with their artifacts; the others run. With a run_id of your choice, asking twice starts one run.",
        action=Action.START_RUN,
        bodies={JSON: RetryRun},
        needs_body=False,
        answers={201: Answer("The new run, accepted.", RunSnapshot, headers={"Location": "Where the new run is."})},
        errors=(
            *PROJECT_ERRORS,
            *BODY_ERRORS,
            "RUN_NOT_FOUND",
            "NOT_RETRIABLE",
            "NO_DOCUMENTS",
            "BUDGET_EXCEEDED",
            "RUN_ID_CONFLICT",
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/events/agent-runs/{run_id}",
        name="streamRun",
        group="runs",
        summary="A run's events as server-sent events, from a cursor, until the run ends",
        more="Any number of viewers per run. 15 s of silence: a heartbeat. A cursor that cannot be served gets a "
        "reset: the state now as events without id, the first with payload.reset.",
        action=Action.STREAM,
        parameters=(
            Parameter("Last-Event-ID", "header", "The cursor: the last event id you have.", {"type": "string"}),
            Parameter("last_event_id", "query", "The same, where no header can be set.", {"type": "string"}),
        ),
        answers={
            200: Answer("Events after the cursor, then live ones.", {}, "text/event-stream"),
            204: Answer("The cursor is at the run's last event: there is nothing to come."),
        },
        errors=("INVALID_ID", "RUN_NOT_FOUND"),
    ),
    *MATERIAL,
    Operation(
        method="POST",
        path="/api/v1/session",
        name="openSession",
        group="session",
        summary="Turn a token into a cookie that scripts cannot read",
        identity=False,
        bodies={JSON: SessionToken},
        answers={200: Answer("Who that is.", Session, headers={"Set-Cookie": "access_token, HttpOnly."})},
        errors=(*BODY_ERRORS, "NOT_AUTHENTICATED", "FORBIDDEN", "TOO_MANY", "UNAVAILABLE"),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/session",
        name="closeSession",
        group="session",
        summary="Take the cookie back",
        identity=False,
        answers={204: Answer("It is gone.", headers={"Set-Cookie": "access_token, expired."})},
        errors=("FORBIDDEN",),
    ),
    Operation(
        method="GET",
        path="/healthz",
        name="getHealth",
        group="server",
        summary="Whether the process answers",
        identity=False,
        answers={200: Answer("It does.", Health)},
    ),
    Operation(
        method="GET",
        path="/readyz",
        name="getReadiness",
        group="server",
        summary="Whether the server takes new work",
        identity=False,
        answers={200: Answer("It does.", Readiness), 503: Answer("Not now.", Readiness)},
    ),
)
