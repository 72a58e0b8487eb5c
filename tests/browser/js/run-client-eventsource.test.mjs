import { RunClient } from '/static/run-client.js';
import { RUN, World, failure, heartbeat, queued, recorded, running, snapshot, success } from './fakes.mjs';
import { equal, test } from './harness.mjs';

/** A client in a browser without WebSocket, live. */
function live(options = { snapshot: snapshot() }) {
  const world = new World();
  world.env.WebSocket = undefined;
  const client = new RunClient(RUN, options, world.env);
  const seen = recorded(client);
  client.start();
  world.source.open();
  return { world, client, seen };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

test('without WebSocket it follows over EventSource from its cursor', () => {
  const { world, client } = live();
  equal(world.source.url.pathname, `/api/v1/events/agent-runs/${RUN}`);
  equal([world.source.url.searchParams.get('last_event_id'), client.connection], ['2', 'live']);
});

test('two WebSockets in a row without a frame make it fall back with the same cursor', () => {
  const world = new World();
  const client = new RunClient(RUN, { snapshot: snapshot() }, world.env);
  client.start();
  world.socket.lose();
  world.advance(500);
  equal([world.sockets.length, world.sources.length], [2, 0]);
  world.socket.lose();
  world.advance(1000);
  equal([world.sockets.length, world.sources.length, client.transport], [2, 1, 'eventsource']);
  equal(world.source.url.searchParams.get('last_event_id'), '2');
});

test('a WebSocket that stays silent counts as none', () => {
  const world = new World();
  new RunClient(RUN, { snapshot: snapshot() }, world.env).start();
  world.advance(10_000 + 500 + 10_000 + 1000);
  equal([world.sockets.length, world.sources.length], [2, 1]);
});

test('where EventSource brings nothing either it was the network, and WebSocket is tried again', () => {
  const world = new World();
  const client = new RunClient(RUN, { snapshot: snapshot() }, world.env);
  client.start();
  world.socket.lose();
  world.advance(500);
  world.socket.lose();
  world.advance(1000);
  world.source.fail();
  equal(client.transport, 'websocket');
});

test('an EventSource that worked is kept', () => {
  const { world } = live();
  world.source.fail();
  world.advance(500);
  equal(world.sources.length, 2);
});

test('from the first event the state builds up', () => {
  const { world, client, seen } = live({});
  equal(world.source.url.searchParams.has('last_event_id'), false);
  world.source.receive(queued('s1', 1), 1);
  world.source.receive(running('s1', 30), 2);
  equal([client.state.steps[0].progress_pct, seen.of('event').map(({ id }) => id)], [30, [1, 2]]);
});

test('a heartbeat is no event', () => {
  const { world, client, seen } = live();
  world.source.receive(running('s1', 30), 3);
  world.source.receive(heartbeat());
  equal([client.cursor, seen.of('event').length, seen.of('malformed').length], [3, 1, 0]);
});

test('malformed data is reported and following goes on', () => {
  const { world, client, seen } = live();
  world.source.receive('{"type":', 3);
  world.source.receive({ type: 'exploded', run_id: RUN, payload: {} }, 3);
  world.source.receive(running('s1', 30), 3);
  equal([seen.of('malformed').length, client.cursor], [2, 3]);
});

test('the browser never reconnects by itself', () => {
  const { world } = live();
  world.source.receive(running('s1', 30), 3);
  world.source.fail();
  equal(world.source.closed, true);
  world.advance(500);
  equal(world.source.url.searchParams.get('last_event_id'), '3');
});

test('the terminal event ends it before the browser can come back', () => {
  const { world, client, seen } = live();
  world.source.receive(failure('no model'), 3);
  equal([world.source.closed, seen.of('ended')[0].reason, client.state.status], [true, 'finished', 'failed']);
});

test('a refused stream is asked for its reason', async () => {
  const cases = [[204, 'finished'], [401, 'forbidden'], [403, 'forbidden'], [404, 'gone'], [400, 'gone']];
  for (const [status, reason] of cases) {
    const { world, seen } = live();
    world.answers.push(status);
    world.source.fail(2);
    await settled();
    equal([world.asked[0].method, seen.of('ended')[0]?.reason], ['HEAD', reason]);
  }
});

test('a server that is not ready is tried again', async () => {
  const { world, client } = live();
  world.answers.push(503);
  world.source.fail(2);
  await settled();
  equal([client.connection, world.due], ['reconnecting', 500]);
});

test('closing while the reason is asked for ends it silently', async () => {
  const { world, client, seen } = live();
  world.answers.push(404);
  world.source.fail(2);
  client.close();
  await settled();
  equal([seen.of('ended'), world.due], [[], null]);
});

test('a reset is shown when it is whole', () => {
  const { world, client, seen } = live({ snapshot: snapshot(9, { status: 'running' }) });
  const first = queued('n1', 1);
  first.payload.reset = { reason: 'cursor_ahead_of_log', cursor: 4 };
  world.source.receive(first);
  world.source.receive(queued('n2', 2));
  equal([client.cursor, client.state.steps[0].id], [9, 's1']);
  world.source.receive(running('n1', 20), 4);
  equal([client.cursor, client.state.last_event_id], [4, 4]);
  equal(client.state.steps.map(({ id, progress_pct }) => [id, progress_pct]), [['n1', 20], ['n2', 0]]);
  equal(seen.of('reset'), [{ reason: 'cursor_ahead_of_log', cursor: 4 }]);
  world.source.receive(running('n1', 30), 5);
  equal([client.cursor, client.state.steps[0].progress_pct], [5, 30]);
});

test('a reset in the middle of a stream is told from the id that is carried along', () => {
  const { world, client } = live();
  world.source.receive(running('s1', 30), 3);
  const first = queued('s1', 1);
  first.payload.reset = { reason: 'log_expired', cursor: 8 };
  world.source.receive(first);
  world.source.receive(queued('s2', 2));
  equal(client.cursor, 3);
  world.source.receive(running('s1', 80), 8);
  equal([client.cursor, client.state.steps[0].progress_pct], [8, 80]);
});

test('a reset that breaks off leaves what was known', () => {
  const { world, client } = live();
  const first = queued('n1', 1);
  first.payload.reset = { reason: 'log_expired', cursor: 8 };
  world.source.receive(first);
  world.source.fail();
  equal([client.cursor, client.state.steps.length], [2, 2]);
});

test('a reset to the state of an ended run ends it', () => {
  const { world, seen } = live();
  const first = queued('n1', 1);
  first.payload.reset = { reason: 'log_expired', cursor: 8 };
  world.source.receive(first);
  world.source.receive(success(), 8);
  equal([seen.of('ended').length, world.source.closed], [1, true]);
});
