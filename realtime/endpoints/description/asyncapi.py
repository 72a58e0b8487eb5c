"""The WebSocket protocol as an AsyncAPI 3.0 document, from its frames: https://www.asyncapi.com/docs/reference."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from realtime import __version__
from realtime.endpoints.description.openapi import SECURITY_SCHEMES
from realtime.endpoints.description.schemas import schemas_of
from realtime.frames import (
    SUBPROTOCOL,
    Acked,
    CloseCode,
    Command,
    Draining,
    ErrorFrame,
    Expiring,
    Finished,
    Pong,
    ProjectFrame,
    ProjectUnwatched,
    ResetFrame,
    RunFrame,
    Subscribed,
    Unsubscribed,
    Welcome,
)

CHANNEL = "#/channels/runs"


class RunEvent(msgspec.Struct):
    """One event of a run's log; `id` counts 1, 2, 3 … per run. What `payload` holds depends on `type`."""

    id: int
    type: Literal["queued", "running", "complete", "error"]
    run_id: str
    payload: dict[str, Any]


class Heartbeat(msgspec.Struct):
    """Nothing happened for a while; of no run, without id."""

    type: Literal["heartbeat"]
    payload: dict[str, Any]


FROM_CLIENT: tuple[type[msgspec.Struct], ...] = get_args(Command)
FROM_SERVER: tuple[type[msgspec.Struct], ...] = (
    Welcome,
    Subscribed,
    ResetFrame,
    Unsubscribed,
    Acked,
    Pong,
    Finished,
    ProjectFrame,
    RunFrame,
    ProjectUnwatched,
    ErrorFrame,
    Expiring,
    Draining,
    RunEvent,
    Heartbeat,
)


def message_name(kind: type[msgspec.Struct]) -> str:
    """What a frame is called: its ``op``, or for one without, the kind of thing it is."""
    return str(kind.__struct_config__.tag or {RunEvent: "event", Heartbeat: "heartbeat"}[kind])


def asyncapi_document() -> dict[str, Any]:
    """The whole document, of JSON values."""
    kinds = (*FROM_CLIENT, *FROM_SERVER)
    references, schemas = schemas_of(kinds)
    messages = {
        message_name(kind): {
            "name": message_name(kind),
            "summary": schemas[kind.__name__]["description"],
            "payload": reference,
        }
        for kind, reference in zip(kinds, references, strict=True)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Runcast",
            "version": __version__,
            "description": f"Runs and projects over WebSocket: subprotocol `{SUBPROTOCOL}`, JSON text messages.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "runs": {
                "address": "/api/v1/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
                "x-close-codes": {
                    str(code.value): {"name": code.name, "reconnect": code.reconnect} for code in CloseCode
                },
            }
        },
        "operations": {
            "obey": {
                "action": "receive",
                "summary": "What a client sends.",
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in SECURITY_SCHEMES],
                **_carries(FROM_CLIENT),
            },
            "tell": {"action": "send", "summary": "What the server sends.", **_carries(FROM_SERVER)},
        },
        "components": {"messages": messages, "schemas": schemas, "securitySchemes": _SECURITY_SCHEMES},
    }


_SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    **SECURITY_SCHEMES,
    "cookie": {**SECURITY_SCHEMES["cookie"], "type": "httpApiKey"},
}
"""AsyncAPI has another word for a key in HTTP."""


def _carries(kinds: tuple[type[msgspec.Struct], ...]) -> dict[str, Any]:
    messages = [{"$ref": f"{CHANNEL}/messages/{message_name(kind)}"} for kind in kinds]
    return {"channel": {"$ref": CHANNEL}, "messages": messages}
