"""Every operation of the REST interface: what it takes, answers and refuses. One table, next to the endpoints.

Tests hold the table and the endpoints equal: its paths and methods to the routes of the application, its answers to
what a server answers.
"""

from __future__ import annotations

from realtime.endpoints.description.bodies import (
    FILES,
    Agents,
    Artifacts,
    Documents,
    Health,
    Projects,
    Readiness,
    Runs,
    Session,
)
from realtime.endpoints.description.operation import JSON, Answer, Operation, Parameter
from realtime.endpoints.documents import Upload
from realtime.endpoints.runs import RetryRun, StartRun
from realtime.endpoints.session import SessionToken
from realtime.ports import ArtifactInfo, UsageInfo
from realtime.roles import Action
from realtime.snapshot import RunSnapshot

UUID = {"type": "string", "format": "uuid"}

_PROJECT = ("INVALID_ID", "PROJECT_NOT_FOUND")
_SENT = ("BAD_REQUEST", "REQUEST_ENTITY_TOO_LARGE")
_OF_PROJECT = "/api/v1/projects/{project_id}"

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
        method="GET",
        path=f"{_OF_PROJECT}/documents",
        name="listDocuments",
        group="documents",
        summary="The project's documents",
        action=Action.READ,
        answers={200: Answer("By path, without content.", Documents)},
        errors=_PROJECT,
    ),
    Operation(
        method="POST",
        path=f"{_OF_PROJECT}/documents",
        name="addDocuments",
        group="documents",
        summary="Add documents, or new versions of them",
        more="One document as JSON, or any number of files as a form. All of a request are kept, or none. The same "
        "path again is a new version. At most 5 MB each, 32 MB together.",
        action=Action.WRITE_DOCUMENTS,
        bodies={JSON: Upload, "multipart/form-data": FILES},
        answers={201: Answer("What is kept now.", Documents)},
        errors=(*_PROJECT, *_SENT, "INVALID_DOCUMENT", "DOCUMENT_TOO_LARGE", "PROJECT_TOO_LARGE"),
    ),
    Operation(
        method="DELETE",
        path=f"{_OF_PROJECT}/documents/{{document_id}}",
        name="deleteDocument",
        group="documents",
        summary="Remove a document",
        action=Action.WRITE_DOCUMENTS,
        answers={204: Answer("It is gone.")},
        errors=(*_PROJECT, "DOCUMENT_NOT_FOUND"),
    ),
    Operation(
        method="POST",
        path=f"{_OF_PROJECT}/agent-runs",
        name="startRun",
        group="runs",
        summary="Start a run",
        more="With a run_id of your choice, asking twice starts one run: the same request again is answered with it.",
        action=Action.START_RUN,
        bodies={JSON: StartRun},
        answers={201: Answer("The run, accepted.", RunSnapshot, headers={"Location": "Where the run is."})},
        errors=(
            *_PROJECT,
            *_SENT,
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
        path=f"{_OF_PROJECT}/agent-runs",
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
        errors=(*_PROJECT, "BAD_REQUEST"),
    ),
    Operation(
        method="GET",
        path=f"{_OF_PROJECT}/agent-runs/{{run_id}}",
        name="getRun",
        group="runs",
        summary="A run and its steps, now",
        action=Action.READ,
        answers={200: Answer("The snapshot, as of event last_event_id.", RunSnapshot)},
        errors=(*_PROJECT, "RUN_NOT_FOUND"),
    ),
    Operation(
        method="POST",
        path=f"{_OF_PROJECT}/agent-runs/{{run_id}}/cancel",
        name="cancelRun",
        group="runs",
        summary="End a run that is not wanted any more",
        more="Whichever server works on it, also where that answers no more. Finished steps keep their artifacts, "
        "the others end with STEP_CANCELLED, the run with CANCELLED. A run that has ended stays as it is.",
        action=Action.CANCEL_RUN,
        answers={200: Answer("The run as it ended.", RunSnapshot)},
        errors=(*_PROJECT, "RUN_NOT_FOUND"),
    ),
    Operation(
        method="POST",
        path=f"{_OF_PROJECT}/agent-runs/{{run_id}}/retry",
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
            *_PROJECT,
            *_SENT,
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
    Operation(
        method="GET",
        path=f"{_OF_PROJECT}/artifacts",
        name="listArtifacts",
        group="artifacts",
        summary="What agents left behind",
        action=Action.READ,
        parameters=(Parameter("run_id", "query", "Only those of this run.", UUID),),
        answers={200: Answer("Newest first, without content.", Artifacts)},
        errors=_PROJECT,
    ),
    Operation(
        method="GET",
        path=f"{_OF_PROJECT}/artifacts/{{artifact_id}}",
        name="getArtifact",
        group="artifacts",
        summary="One artifact with its content",
        action=Action.READ,
        answers={200: Answer("The artifact.", ArtifactInfo)},
        errors=(*_PROJECT, "ARTIFACT_NOT_FOUND"),
    ),
    Operation(
        method="POST",
        path="/api/v1/session",
        name="openSession",
        group="session",
        summary="Turn a token into a cookie that scripts cannot read",
        identity=False,
        bodies={JSON: SessionToken},
        answers={200: Answer("Who that is.", Session, headers={"Set-Cookie": "access_token, HttpOnly."})},
        errors=(*_SENT, "NOT_AUTHENTICATED", "FORBIDDEN", "TOO_MANY", "UNAVAILABLE"),
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
