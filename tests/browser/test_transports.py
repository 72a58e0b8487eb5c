"""The browser's own WebSocket and EventSource, without our module around them, and then with it."""

from __future__ import annotations

import json

from live_server import LiveServer
from peers.following import LABELS
from project_page import ProjectPage
from staged_model import Stage

WATCH = """runId => {
  globalThis.seen = { socket: [], source: [] };
  globalThis.socket = new WebSocket(`ws://${location.host}/api/v1/ws`, 'runcast.v1');
  socket.onopen = () => socket.send(JSON.stringify({ op: 'subscribe', run_id: runId }));
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.op === 'finished') socket.close(1000);
    else if (!frame.op && frame.id) seen.socket.push(frame);
  };
  socket.onclose = ({ code, wasClean }) => { globalThis.goodbye = { code, wasClean }; };
  globalThis.source = new EventSource(`/api/v1/events/agent-runs/${runId}`);
  source.onmessage = ({ data, lastEventId }) => {
    seen.source.push({ id: Number(lastEventId), ...JSON.parse(data) });
  };
}"""
BEYOND = """async runId => {
  const { RunClient } = await import('/static/run-client.js');
  const { BROWSER } = await import('/static/client/environment.js');
  const told = [];
  for (const environment of [BROWSER, { ...BROWSER, WebSocket: undefined }]) {
    const watch = new RunClient({}, environment).watch(runId, { after: 500 });
    const items = [];
    for await (const { type, reason, cursor, state } of watch) items.push([type, reason, cursor, state?.status]);
    told.push({ transport: watch.connection.transport, items });
  }
  return told;
}"""
HAVE_BOTH = "label => [seen.socket, seen.source].every((all) => all.at(-1)?.payload.progress_label === label)"


def test_browser_reads_a_live_run_over_both_transports_alike(
    server: LiveServer, project_page: ProjectPage, stage: Stage
) -> None:
    """Each event has come to both before the next one happens; both have the whole log, and end as they should.

    With `run-client.js` a cursor beyond the log is the same reset over both.
    """
    page = project_page.page
    run_id = project_page.start("ba_consultant")
    page.evaluate(WATCH, run_id)
    for percent, label in enumerate(LABELS, 10):
        stage.progress("ba_consultant", percent, label)
        page.wait_for_function(HAVE_BOTH, arg=label)
    stage.fail("ba_consultant", "no")
    page.wait_for_function("() => source.readyState === EventSource.CLOSED && globalThis.goodbye")
    seen = page.evaluate("seen")
    log = server.call(server.home.store.runs.read_events(server.home.user.tenant, run_id, 0, 100))
    stored = [{"id": e.id, "type": e.type, "run_id": run_id, "payload": json.loads(e.payload)} for e in log]
    assert seen["socket"] == seen["source"] == stored
    assert [event["id"] for event in stored] == list(range(1, len(stored) + 1))
    assert page.evaluate("goodbye") == {"code": 1000, "wasClean": True}
    reset = ["reset", "cursor_ahead_of_log", len(log), "failed"]
    expected = [{"transport": transport, "items": [reset]} for transport in ("websocket", "sse")]
    assert page.evaluate(BEYOND, run_id) == expected
