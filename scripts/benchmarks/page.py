"""``scripts/bench page``: what drawing a run costs a browser, frame by frame, and what it holds afterwards.

A real Chromium follows a run through a real server while every card goes through every state. Each frame's work is
what the page's main thread does between one begin of a frame and the next, from Chromium's own trace.
https://chromedevtools.github.io/devtools-protocol/tot/Tracing/
"""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import click
from chromium import CHROMIUM_FLAGS, find_chromium
from flood import Flood
from live_server import LiveServer, session_of
from playwright.sync_api import CDPSession, Page, expect, sync_playwright
from project_page import ALL, ProjectPage
from report import keep, show
from staged_model import Stage

CATEGORIES = (
    "devtools.timeline",
    "devtools.timeline.frame",
    "disabled-by-default-devtools.timeline",
    "disabled-by-default-devtools.timeline.frame",
    "toplevel",
)
BUDGET_MS = 16.0


@contextmanager
def watched_run() -> Iterator[tuple[LiveServer, Page, str]]:
    """A run of all agents, whose agents stand still, on the page that follows it."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = LiveServer(Path(folder) / "home", Stage())
        server.start()
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))
        try:
            server.call(server.home.import_document("shop.md", b"# Shop\n\nREQ-1: A customer can pay by invoice.\n"))
            context = browser.new_context()
            context.add_cookies([session_of(server)])
            page = ProjectPage(context.new_page(), server.url, server.home.project_id).open()
            yield server, page.page, page.start(*ALL)
        finally:
            browser.close()
            server.stop()


def frames_of(trace: Sequence[dict[str, Any]], measure: str) -> list[float]:
    """The milliseconds of work of each frame, on the main thread that drew the most of them.

    ``measure``: ``tdur``, the thread's own time; ``dur``, that of the clock, in which it also waits for a core.
    """
    begins: dict[tuple[int, int], list[float]] = {}
    for event in trace:
        if event["name"] == "BeginMainThreadFrame":
            begins.setdefault((event["pid"], event["tid"]), []).append(event["ts"])
    thread, starts = max(begins.items(), key=lambda item: len(item[1]))
    starts.sort()
    work = [0.0] * len(starts)
    tasks = [e for e in trace if e["name"] == "RunTask" and e.get("ph") == "X" and (e["pid"], e["tid"]) == thread]
    for task in tasks:
        frame = bisect_right(starts, task["ts"] + task["dur"]) - 1
        if frame >= 0:
            work[frame] += task.get(measure, 0) / 1000
    return work


def traced(session: CDPSession, page: Page, work: Callable[[], None]) -> list[dict[str, Any]]:
    """What Chromium noted while ``work`` was done."""
    trace: list[dict[str, Any]] = []
    session.on("Tracing.dataCollected", lambda part: trace.extend(part["value"]))
    session.send("Tracing.start", {"traceConfig": {"includedCategories": list(CATEGORIES)}})
    work()
    done: list[bool] = []
    session.on("Tracing.tracingComplete", lambda _: done.append(True))
    session.send("Tracing.end")
    while not done:
        page.wait_for_timeout(50)
    return trace


def spread(frames: Sequence[float]) -> dict[str, float]:
    """How the work of frames is spread."""
    cuts = quantiles(frames, n=100)
    over = sum(frame > BUDGET_MS for frame in frames)
    shown = {"frames": len(frames), "p50 ms": cuts[49], "p99 ms": cuts[98], "max ms": max(frames)}
    return {**shown, f"over {BUDGET_MS:.0f} ms": over}


def held(session: CDPSession) -> dict[str, float]:
    """What the page holds: live objects of JavaScript in MB, and nodes."""
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    return {"heap MB": used / 1e6, "nodes": session.send("Memory.getDOMCounters")["nodes"]}


@click.command()
@click.option("--rate", type=click.FloatRange(1), default=100.0, help="Events/s while frames are measured.")
@click.option("--seconds", type=click.FloatRange(1), default=10.0, help="How long frames are measured.")
@click.option("--events", type=click.IntRange(2000), default=10_000, help="How many events memory is measured over.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here, too.")
def page(rate: float, seconds: float, events: int, file: Path | None) -> None:
    """The page in Chromium: work per frame under events, memory over many of them."""
    with watched_run() as (server, shown, run_id):
        flood = Flood(server, run_id)
        session = shown.context.new_cdp_session(shown)
        session.send("HeapProfiler.enable")

        def draw(count: int, per_s: float, at_once: int = 1) -> None:
            flood.send(count, per_s=per_s, at_once=at_once)
            expect(shown.locator("#run")).to_have_attribute("data-last-event-id", str(flood.head))

        draw(int(rate), rate)
        trace = traced(session, shown, lambda: draw(int(rate * seconds), rate))
        drawing = [
            {"time": name, **spread(frames_of(trace, key))} for name, key in (("own", "tdur"), ("clock", "dur"))
        ]
        memory = []
        for part in range(5):
            for _ in range(0, events // 5, 200):
                draw(200, 2_000, 20)
            memory.append({"events": (part + 1) * (events // 5), **held(session)})
    show("Work of the page's main thread per frame, every card through every state", drawing)
    show("What the page holds", memory)
    keep(file, drawing=drawing, memory=memory)
