"""AC-19b: every transition of a run is published, and publishing never disturbs the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from live import GatedModel, LiveServer, live_server

from orchestrator.errors import ModelError
from realtime.asgi_outlet import AsgiOutlet
from realtime.broadcaster import Broadcaster
from realtime.events import Event, RunKey
from realtime.subscription import Ending


class KeptLog:
    """A run log in a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def read(self, key: RunKey, after: int, limit: int) -> Sequence[Event]:
        return [event for event in self.events if event.id > after][:limit]

    async def heads(self, keys: Any) -> dict[RunKey, int]:
        return {key: len(self.events) for key in keys}


def make_event(run_id: str, event_id: int) -> Event:
    """An event of a run."""
    return Event(run_id, event_id, "running", f'{{"n":{event_id}}}')


def outlet() -> AsgiOutlet[str]:
    """Where the bytes of one viewer go."""
    return AsgiOutlet(lambda page: [event.text for event in page.events])


def ignore(ending: Ending) -> None:
    """Nobody waits for the end of this subscription."""


async def test_step_running_is_published(server: LiveServer, model: GatedModel) -> None:
    """A viewer who is there before sees the step begin as soon as it does."""
    run_id = await server.start_run(["ba_consultant"])
    async with server.events(run_id) as events:
        kinds = [json.loads((await anext(events)).data)["type"] for _ in range(2)]
    assert kinds == ["queued", "running"]


async def test_step_completed_is_published_with_its_artifact(server: LiveServer, model: GatedModel) -> None:
    """The event of a completed step carries the id of the artifact that was made for it."""
    run_id = await server.start_run(["ba_consultant"])
    model.finish("ba_consultant")
    done = next(event for event in await server.watched(run_id) if event["type"] == "complete")
    artifacts = (await server.http.get(f"{server.project}/artifacts", params={"run_id": run_id})).json()["artifacts"]
    assert [artifact["id"] for artifact in artifacts] == [done["payload"]["artifact_id"]]


async def test_step_failed_is_published_when_attempts_are_used_up(server: LiveServer, model: GatedModel) -> None:
    """After the last attempt the step's error is told, once, with the reason of the last failure."""
    run_id = await server.start_run(["ba_consultant"])
    for attempt in range(4):
        model.fail("ba_consultant", ModelError(f"failure {attempt + 1}"))
    errors = [event["payload"] for event in await server.watched(run_id) if event["type"] == "error"]
    assert [(error["error_code"], error["message"]) for error in errors] == [("STEP_FAILED", "failure 4")]


async def test_step_over_budget_is_published(tmp_path: Path, model: GatedModel) -> None:
    """A step that may not spend more fails at once: STEP_FAILED with the reason BUDGET_EXCEEDED."""
    async with live_server(tmp_path / "home", model, monthly_tokens=50) as server:
        run_id = await server.start_run(["ba_consultant", "qa_consultant"])
        model.finish("ba_consultant")
        error = next(event["payload"] for event in await server.watched(run_id) if event["type"] == "error")
    assert (error["agent_type"], error["error_code"]) == ("qa_consultant", "STEP_FAILED")
    assert error["reason"] == "BUDGET_EXCEEDED"


async def test_run_completed_is_published(server: LiveServer, model: GatedModel) -> None:
    """The end of a run that succeeded names the run and says all_done, and no error."""
    run_id = await server.start_run(["ba_consultant"])
    model.finish("ba_consultant")
    last = (await server.watched(run_id))[-1]["payload"]
    assert {**last, "at": ""} == {"run_id": run_id, "all_done": True, "at": ""}


async def test_publish_without_a_viewer_is_a_silent_no_op() -> None:
    """Publishing for a run that nobody watches raises nothing, and a viewer who comes later misses nothing."""
    log = KeptLog()
    broadcaster = Broadcaster(log)
    log.events = [make_event("r", 1)]
    broadcaster.publish(RunKey("demo", "r"), log.events)
    late = outlet()
    broadcaster.subscribe(RunKey("demo", "r"), 0, late, ignore)
    assert json.loads(await anext(late))["id"] == 1
    await broadcaster.close()


async def test_run_without_a_viewer_goes_its_way(server: LiveServer, model: GatedModel) -> None:
    """A run that nobody watches ends as any other, and its log can be watched afterwards."""
    run_id = await server.start_run(["ba_consultant"])
    model.finish("ba_consultant")
    assert (await server.watched(run_id))[-1]["payload"]["all_done"] is True


async def test_publish_reaches_a_subscriber() -> None:
    """What is published is what a subscriber gets."""
    broadcaster = Broadcaster(KeptLog())
    key, viewer = RunKey("demo", "r"), outlet()
    broadcaster.publish(key, [make_event("r", 1)])
    broadcaster.subscribe(key, 1, viewer, ignore)
    broadcaster.publish(key, [make_event("r", 2)])
    assert json.loads(await anext(viewer)) == {"id": 2, "type": "running", "run_id": "r", "payload": {"n": 2}}
    await broadcaster.close()


async def test_subscribers_of_one_run_share_its_log_and_not_its_cursor() -> None:
    """A second viewer of a run gets everything as well: nobody takes an event away from another."""
    broadcaster = Broadcaster(KeptLog())
    key, first, second = RunKey("demo", "r"), outlet(), outlet()
    broadcaster.publish(key, [make_event("r", 1), make_event("r", 2)])
    broadcaster.subscribe(key, 0, first, ignore)
    broadcaster.subscribe(key, 1, second, ignore)
    assert [json.loads(await anext(first))["id"] for _ in range(2)] == [1, 2]
    assert json.loads(await anext(second))["id"] == 2
    await broadcaster.close()


async def test_runs_are_independent_of_each_other() -> None:
    """What is published for one run never reaches a viewer of another, nor of another tenant's run of the same id."""
    broadcaster = Broadcaster(KeptLog())
    mine, other, foreign = RunKey("demo", "r"), RunKey("demo", "s"), RunKey("other", "r")
    viewers = {key: outlet() for key in (mine, other, foreign)}
    for key, viewer in viewers.items():
        broadcaster.publish(key, [make_event(key.run_id, 1)])
        broadcaster.subscribe(key, 1, viewer, ignore)
    broadcaster.publish(mine, [make_event("r", 2)])
    assert json.loads(await anext(viewers[mine]))["id"] == 2
    assert not any(viewers[key].stalled_since for key in (other, foreign))
    await broadcaster.close()


async def test_subscription_closed_leaves_nothing_behind() -> None:
    """A viewer who leaves is forgotten, and leaving twice is leaving once."""
    broadcaster = Broadcaster(KeptLog())
    subscription = broadcaster.subscribe(RunKey("demo", "r"), 0, outlet(), ignore)
    assert broadcaster.viewers == 1
    subscription.close()
    subscription.close()
    assert broadcaster.viewers == 0
    await broadcaster.close()
