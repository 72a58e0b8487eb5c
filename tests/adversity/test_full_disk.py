"""A disk that is full in the middle of a run: the run waits, and goes on when there is room."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import small_disk as small_disk_module
from live import ALL_AGENTS, GatedModel, LiveServer, live_server
from process_stage import attempts_in
from small_disk import small_disk

from realtime.wiring import LOCAL

MEGABYTES = 4
PIECES_BYTES = (400_000, 40_000, 4_000, 400)
MOST_PIECES = 200


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory of its own."""
    made = Path(tempfile.mkdtemp(prefix="runcast-disk-", dir="/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(params=["mounted", "limited"])
def disk_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system that is full, where one can be mounted, and files that may not grow, which works everywhere."""
    if request.param == "limited":
        monkeypatch.setattr(small_disk_module, "_mount", lambda *_: False)
    return str(request.param)


async def fill(server: LiveServer) -> None:
    """Keep documents, smaller and smaller ones, until there is no room for the smallest."""
    for size in PIECES_BYTES:
        for number in range(MOST_PIECES):
            body = {"path": f"{size}-{number}.txt", "content": random.randbytes(size // 2).hex()}
            answer = await server.http.post(f"{server.project}/documents", json=body)
            if answer.status_code != 201:
                assert (answer.status_code, answer.json()["error"]) == (503, "UNAVAILABLE")
                break
        else:
            raise AssertionError(f"the disk took {MOST_PIECES} documents of {size} bytes; expected it to be full")


async def refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Return when the server has said that the end of a step cannot be saved."""
    async with asyncio.timeout(20):
        while "a finished step cannot be saved yet" not in capsys.readouterr().err:
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("disk_kind")
async def test_run_on_a_full_disk_waits_for_room_and_completes_untorn(
    folder: Path, model: GatedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """No work is done again; viewers stay, ids are contiguous, and every artifact is there once."""
    with small_disk(folder / "small", MEGABYTES) as disk:
        home = disk.folder / "home"
        async with live_server(home, model) as server, server.socket() as viewer:
            run_id = await server.start_run()
            await viewer.ask({"op": "subscribe", "run_id": run_id})
            await model.asked["ba_consultant"].wait()
            await fill(server)
            model.finish("ba_consultant")
            await refused(capsys)
            before = await server.log(run_id)
            assert "complete" not in {event["type"] for event in before}
            assert (await server.http.get("/healthz")).status_code == 200
            disk.grow()
            model.finish(*ALL_AGENTS[1:])
            async with asyncio.timeout(40):
                seen = await viewer.events_until()
            log = await server.log(run_id)
            snapshot = await server.snapshot(run_id)
            kept = (await server.http.get(f"{server.project}/artifacts", params={"run_id": run_id})).json()[
                "artifacts"
            ]
        with closing(sqlite3.connect(home / "tenants" / f"{LOCAL.tenant}.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert seen == log
    assert log[: len(before)] == before
    assert [event["id"] for event in log] == list(range(1, len(log) + 1))
    assert snapshot["status"] == "completed"
    assert sorted(artifact["agent_type"] for artifact in kept) == sorted(ALL_AGENTS)
    assert attempts_in(log) == [1]
