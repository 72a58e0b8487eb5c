"""Structs as JSON Schema, with what their types alone do not say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from realtime.roles import Role

REF = "#/components/schemas/{name}"

_IDS = ("id", "project_id", "run_id", "artifact_id", "retry_of")
_TIMES = ("created_at", "started_at", "completed_at", "server_time", "retry_at", "resets_at")
_TEXTS: dict[str, dict[str, Any]] = {
    **{name: {"format": "uuid"} for name in _IDS},
    **{name: {"format": "date-time"} for name in _TIMES},
    "status": {"enum": ["queued", "running", "completed", "failed", "cancelled"]},
    "role": {"enum": [role.value for role in Role]},
}
"""Fields of type text that are more than any text; a name means the same wherever it stands."""


def schemas_of(kinds: Iterable[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """For each of ``kinds`` a reference, and all the schemas that are referred to, by name."""
    found, components = msgspec.json.schema_components(kinds, ref_template=REF)
    for component in components.values():
        component["description"] = component.get("description", "").replace("``", "`").partition("\n\n")[0]
        for name, schema in component.get("properties", {}).items():
            _say_more(name, schema)
    return list(found), msgspec.to_builtins(components)


def _say_more(name: str, schema: dict[str, Any]) -> None:
    for one in schema.get("anyOf", [schema]):
        if one == {"type": "string"}:
            one.update(_TEXTS.get(name, {}))
