"""The arrows between the modules of both packages, read from their source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrator.events import WIRE_TYPES
from orchestrator.pipeline import AGENT_TYPES
from realtime.events import EventType

ROOT = Path(__file__).parent.parent

ORDER = {
    "orchestrator": """
        errors states events pipeline retry
        records spending
        ports
        clock documents context budget cache progress
        endings slots lease recorder step runner dispatch service
        agents | llm | store
    """,
    "realtime": """
        wire events page tail counts durations snapshot facts timeline cursor frames protocol
        clock log listener light_event channel peer tls shared_reads turns
        outlet direct_outlet asgi_outlet
        subscription topic broadcaster sse
        asgi origins cors proxies
        ports settings roles keys jwks tokens access board
        quotas metrics readiness hardening request_log
        imports material
        endpoints app guards_http2 guards wiring server
        client
        cli
    """,
}
"""Who may import whom: only what stands before it, read like a text. Neighbours of ``|`` import none of each other.

A name is a module or a whole subpackage; inside a subpackage the order is free, but has no cycle.
"""

PURE = {
    "orchestrator": {"errors", "states", "events", "pipeline", "retry", "records", "endings"},
    "realtime": {
        *("wire", "events", "page", "tail", "counts", "durations"),
        *("snapshot", "facts", "timeline", "cursor", "frames", "protocol", "roles", "origins", "imports"),
    },
}
"""What can do no I/O: it imports only its like, msgspec, and nothing that waits, reads a clock or touches a file."""

IMPURE = {"asyncio", "concurrent", "os", "pathlib", "random", "select", "socket", "subprocess", "threading", "time"}

CLIENT_MAY_IMPORT = {"wire", "events", "snapshot", "cursor", "frames", "ports"}
"""What of delivery a client stands on; a script that watches a run loads no server."""

EVERYWHERE = {"msgspec", "structlog"}

HOMES = {
    "aiosqlite": {"orchestrator.store"},
    "alembic": {"orchestrator.store"},
    "asyncpg": {"orchestrator.store"},
    "click": {"realtime.cli"},
    "cryptography": {"realtime.keys"},
    "databases": {"orchestrator.store"},
    "h2": {"realtime.guards_http2"},
    "httpx2": {"orchestrator.llm", "realtime.cli", "realtime.client", "realtime.jwks"},
    "hypercorn": {"realtime.guards", "realtime.guards_http2", "realtime.server"},
    "jwt": {"realtime.keys", "realtime.tokens"},
    "markdown_it": {"realtime.material"},
    "markupsafe": {"realtime.material"},
    "prometheus_client": {"realtime.metrics"},
    "quart": {"realtime.app", "realtime.endpoints", "realtime.sse", "realtime.wiring"},
    "rich": {"realtime.cli"},
    "sqlalchemy": {"orchestrator.store"},
    "uvloop": {"realtime.cli"},
    "websockets": {"realtime.client"},
    "werkzeug": {"realtime.app", "realtime.endpoints"},
    "wsproto": {"realtime.guards"},
}
"""Where each third party is at home; it is imported nowhere else, and none that is not listed is imported at all."""

LONGEST = 300


class Import(NamedTuple):
    """One import: who imports what, and the names taken from it."""

    importer: str
    imported: str
    names: tuple[str, ...]

    @property
    def is_ours(self) -> bool:
        """True for a module of one of the two packages."""
        return package(self.imported) in ORDER


def package(module: str) -> str:
    """The first part of a module's name."""
    return module.split(".", maxsplit=1)[0]


def unit(module: str) -> str:
    """Where a module stands in the order: the second part of its name, empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def place(module: str) -> str:
    """Package and unit of a module."""
    return ".".join(module.split(".")[:2])


@cache
def sources() -> dict[str, Path]:
    """Every module of both packages by its name."""
    found: dict[str, Path] = {}
    for name in ORDER:
        for file in sorted((ROOT / name).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports_in(module: str) -> Iterator[Import]:
    """Every import in a module, at any depth; ``from a import b`` is one of ``a.b`` where that is a module."""
    for node in ast.walk(ast.parse(sources()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, ())
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{module} has a relative import"
            assert node.level == 0, f"{module} has a relative import"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield Import(module, submodule if submodule in sources() else node.module, (alias.name,))


@cache
def imports() -> tuple[Import, ...]:
    """Every import of both packages."""
    return tuple(found for module in sources() for found in imports_in(module))


def order(name: str) -> list[str]:
    """The units of a package from first to last."""
    return ORDER[name].replace("|", " ").split()


def siblings(name: str) -> list[set[str]]:
    """Units of a package that import none of each other."""
    return [set(line.replace("|", " ").split()) for line in ORDER[name].splitlines() if "|" in line]


def arrows(found: list[Import]) -> list[str]:
    """Imports, in words for a failing test."""
    return sorted({f"{one.importer} -> {one.imported}" for one in found})


@pytest.mark.parametrize("name", ORDER)
def test_order_has_every_module(name: str) -> None:
    """Each module and subpackage has its place in the order, and each place is one that there is."""
    there = {unit(module) for module in sources() if package(module) == name} - {""}
    assert set(order(name)) == there
    assert len(order(name)) == len(there)


@pytest.mark.parametrize("name", ORDER)
def test_import_points_only_upward(name: str) -> None:
    """A module imports nothing that stands after it, nor a sibling that it must not know."""
    rank = {"": -1} | {entry: number for number, entry in enumerate(order(name))}
    wrong = [
        found
        for found in imports()
        if package(found.importer) == package(found.imported) == name
        and unit(found.importer) != unit(found.imported)
        and (
            rank[unit(found.imported)] > rank[unit(found.importer)]
            or any({unit(found.imported), unit(found.importer)} <= group for group in siblings(name))
        )
    ]
    assert arrows(wrong) == []


@pytest.mark.parametrize("place_of", sorted({place(name) for name in sources() if name.count(".") > 1}))
def test_subpackage_has_no_cycle(place_of: str) -> None:
    """The modules of a subpackage can be put in an order, too."""
    graph = {name: set[str]() for name in sources() if place(name) == place_of}
    for found in imports():
        if found.importer in graph and found.imported in graph and found.importer != found.imported:
            graph[found.importer].add(found.imported)
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


def test_orchestrator_never_imports_realtime() -> None:
    """Running pipelines knows nothing of how anybody watches them."""
    assert (
        arrows([f for f in imports() if package(f.importer) == "orchestrator" and package(f.imported) == "realtime"])
        == []
    )


def test_only_wiring_imports_orchestrator() -> None:
    """Delivery knows runs as ids, logs and snapshots; one place puts the two together."""
    crossing = {
        place(found.importer)
        for found in imports()
        if package(found.importer) == "realtime" and package(found.imported) == "orchestrator"
    }
    assert crossing == {"realtime.wiring"}


def test_third_parties_are_imported_only_at_home() -> None:
    """Each library is known to the modules whose business it is, so that it can be replaced there."""
    ours_or_standard = sys.stdlib_module_names | set(ORDER) | EVERYWHERE
    strangers = [
        found
        for found in imports()
        if package(found.imported) not in ours_or_standard
        and place(found.importer) not in HOMES.get(package(found.imported), set())
    ]
    assert arrows(strangers) == []


def test_wiring_knows_of_quart_only_the_type() -> None:
    """Putting things together handles no request."""
    names = {
        name
        for found in imports()
        if place(found.importer) == "realtime.wiring" and package(found.imported) == "quart"
        for name in found.names
    }
    assert names <= {"Quart"}


def test_pure_modules_import_nothing_that_waits() -> None:
    """The core cannot do I/O: its modules import their like, msgspec, and what neither waits nor reads a clock."""
    wrong = [
        found
        for found in imports()
        if unit(found.importer) in PURE[package(found.importer)]
        and (
            unit(found.imported) not in PURE[package(found.imported)]
            if found.is_ours
            else package(found.imported) not in (sys.stdlib_module_names - IMPURE) | {"msgspec"}
        )
    ]
    assert arrows(wrong) == []


def test_client_imports_no_server() -> None:
    """The Python client stands on the vocabulary of delivery alone."""
    wrong = [
        found
        for found in imports()
        if found.importer.startswith("realtime.client")
        and found.is_ours
        and unit(found.imported) not in CLIENT_MAY_IMPORT | {""}
        and not unit(found.imported).startswith("client")
    ]
    assert arrows(wrong) == []


def test_event_vocabularies_are_equal() -> None:
    """What a run can say and what the wire can carry is the same, but for the heartbeat that no log has."""
    assert {*WIRE_TYPES, "heartbeat"} == {kind.value for kind in EventType}


def texts_in(module: str) -> Iterator[str]:
    """Every string in the code of a module; an example in a docstring is for people, and no knowledge of the code."""
    tree = ast.parse(sources()[module].read_text(encoding="utf-8"))
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
def test_realtime_never_names_an_agent(agent_type: str) -> None:
    """Delivery treats all agents alike: adding one changes nothing there."""
    naming = {
        name for name in sources() if package(name) == "realtime" for text in texts_in(name) if agent_type in text
    }
    assert naming == set()


def test_modules_are_short() -> None:
    """One concept per module: what grows beyond this is two."""
    lines = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in sources().values()
    }
    assert {file: count for file, count in lines.items() if count > LONGEST} == {}
