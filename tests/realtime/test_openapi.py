"""The API's machine-readable description: valid, complete, and the same as what the server has and says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import msgspec
import pytest
from live import ALL_AGENTS, GatedModel, LiveServer
from openapi_spec_validator import OpenAPIV31SpecValidator
from routes import http_routes, socket_routes
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures

from orchestrator.states import RunState, StepState
from realtime import frames
from realtime.endpoints.description.asyncapi import FROM_CLIENT, FROM_SERVER, asyncapi_document
from realtime.endpoints.description.openapi import openapi_document
from realtime.endpoints.description.operation import ERRORS
from realtime.wiring.refusals import STATUS_OF_CODE

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = ("/openapi.json", "/asyncapi.json", "/docs")
PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"


@pytest.fixture
def server(shared: LiveServer) -> LiveServer:  # noqa: F811
    """The server of this module."""
    return shared


async def read(server: LiveServer, path: str) -> dict[str, Any]:
    """The JSON document there, as anybody gets it."""
    async with httpx2.AsyncClient(base_url=server.url) as anybody:
        answer = await anybody.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    return dict(answer.json())


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The operations of an OpenAPI document by method and path."""
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


async def test_openapi_document_is_valid(server: LiveServer) -> None:
    """The document obeys the meta-schema of OpenAPI 3.1, and its operation ids are each there once."""
    document = await read(server, "/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    names = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(names)) == len(names)


async def test_openapi_document_has_every_route_and_no_other(server: LiveServer) -> None:
    """What the application serves under /api/v1, and the two probes, is described; what is described is served."""
    served = {route for route in http_routes(server) if route[1].startswith(("/api/", "/healthz", "/readyz"))}
    assert set(operations(await read(server, "/openapi.json"))) == served


async def test_path_parameters_are_those_of_the_path(server: LiveServer) -> None:
    """Every parameter in braces is described as a UUID, and none besides."""
    for path, item in (await read(server, "/openapi.json"))["paths"].items():
        described = {one["name"]: one["schema"] for one in item.get("parameters", [])}
        assert described == {name: {"type": "string", "format": "uuid"} for name in re.findall(r"{(\w+)}", path)}


async def test_every_described_refusal_names_its_codes(server: LiveServer) -> None:
    """An answer from 400 on has the one shape of errors, with codes that belong to its status."""
    for route, operation in operations(await read(server, "/openapi.json")).items():
        for status, answer in operation["responses"].items():
            if int(status) < 400 or (route[1], status) == ("/readyz", "503"):
                continue
            schema = answer["content"]["application/json"]["schema"]
            assert schema["required"] == ["error", "message"], route
            assert {ERRORS[code][0] for code in schema["properties"]["error"]["enum"]} == {int(status)}, route


async def test_error_codes_are_those_of_the_docs() -> None:
    """The table of statuses and codes in docs/protocol.md is the one of the code."""
    rows = re.findall(r"^\| (\d{3}) \| (`.*) \|$", PROTOCOL.read_text(encoding="utf-8"), re.MULTILINE)
    written = {(code, int(status)) for status, codes in rows for code in re.findall(r"`([A-Z_]+)`", codes)}
    assert written == {(code, status) for code, (status, _) in ERRORS.items()}


async def test_error_codes_have_the_status_that_refusals_have() -> None:
    """What the orchestrator raises reaches a client under the status that is described."""
    assert {code: ERRORS[code][0] for code in STATUS_OF_CODE} == STATUS_OF_CODE


async def test_states_and_agents_are_those_of_the_orchestrator(server: LiveServer) -> None:
    """Delivery writes the states down by itself; they are the ones that runs and steps have."""
    schemas = (await read(server, "/openapi.json"))["components"]["schemas"]
    for name, states in (("RunSnapshot", RunState), ("StepSnapshot", StepState)):
        assert set(schemas[name]["properties"]["status"]["enum"]) == {state.value for state in states}
    assert schemas["StartRun"]["properties"]["agents_selected"]["items"]["enum"] == ALL_AGENTS


async def test_asyncapi_document_has_every_frame_and_the_socket(server: LiveServer) -> None:
    """Every struct of the protocol that has an op is described, under the one WebSocket address that there is."""
    document = await read(server, "/asyncapi.json")
    tagged = {
        kind
        for _, kind in inspect.getmembers(frames, inspect.isclass)
        if issubclass(kind, msgspec.Struct) and kind.__struct_config__.tag not in {None, kind.__name__}
    }
    assert tagged <= {*FROM_CLIENT, *FROM_SERVER}
    assert {channel["address"] for channel in document["channels"].values()} == socket_routes(server)
    assert set(document["channels"]["runs"]["x-close-codes"]) == {str(code.value) for code in frames.CloseCode}


async def test_asyncapi_document_points_only_to_what_it_has(server: LiveServer) -> None:
    """Every reference in it leads somewhere, and its schemas are valid JSON Schema."""
    document = await read(server, "/asyncapi.json")
    for reference in re.findall(r'"\$ref":"#/([^"]+)"', msgspec.json.encode(document).decode()):
        found: Any = document
        for part in reference.split("/"):
            found = found[part]
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_frames_of_a_whole_run_are_as_described(server: LiveServer, shared_model: GatedModel) -> None:  # noqa: F811
    """Everything that a viewer is sent, from welcome to finished, errors and a reset among it, fits its schema."""
    document = await read(server, "/asyncapi.json")
    run_id = await server.start_run()
    shared_model.finish(*ALL_AGENTS)
    seen = set()

    def check(frame: dict[str, Any]) -> None:
        name = frame.get("op") or ("heartbeat" if "id" not in frame else "event")
        seen.add(name)
        payload = document["components"]["messages"][name]["payload"]
        jsonschema.validate(frame, {**payload, "components": document["components"]})

    async with server.socket() as socket:
        for command in (
            {"op": "authenticate", "token": server.token},
            {"op": "ping", "ref": 1},
            {"op": "dance"},
            {"op": "subscribe", "run_id": run_id, "last_event_id": "x"},
            {"op": "subscribe", "run_id": run_id, "client_id": "c"},
        ):
            check(await socket.ask(command))
        while (frame := await socket.receive()).get("op") != "finished":
            check(frame)
        check(frame)
        check(await socket.ask({"op": "ack", "run_id": run_id, "event_id": 1}))
        check(await socket.ask({"op": "unsubscribe", "run_id": run_id}))
        check(await socket.ask({"op": "watch_project", "project_id": server.home.project_id}))
        await server.start_run()
        check(await socket.receive())
        check(await socket.ask({"op": "unwatch_project", "project_id": server.home.project_id}))
        check(await socket.ask({"op": "unwatch_project", "project_id": server.home.project_id}))
    described = set(document["components"]["messages"])
    sent = described - {kind.__struct_config__.tag for kind in FROM_CLIENT}
    assert seen == sent - {"expiring", "draining", "heartbeat"}


@pytest.mark.parametrize("path", OPEN)
async def test_description_is_open_to_everybody(server: LiveServer, path: str) -> None:
    """It needs no identity, and says nothing about anybody's data."""
    async with httpx2.AsyncClient(base_url=server.url) as anybody:
        answer = await anybody.get(path)
    assert answer.status_code == 200
    assert server.home.project_id not in answer.text
    assert server.home.user.email not in answer.text


async def test_page_shows_everything_and_needs_nobody_else(server: LiveServer) -> None:
    """Each operation and frame is there; links lead to what the page has; no script, no style, no other host."""
    page = (await server.http.get("/docs")).text
    for (method, path), operation in operations(openapi_document(server.home.backend.runs.agents())).items():
        assert f"<code>{method} {path}</code>" in page
        assert f'id="{operation["operationId"]}"' in page
    for name in asyncapi_document()["components"]["messages"]:
        assert f"<code>{name}</code>" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert "<script" not in page
    assert "style=" not in page
    assert not re.findall(r'(?:href|src)="(?!/[^/]|#)', page)
