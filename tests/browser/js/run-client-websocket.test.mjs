import { RunClient } from '/static/run-client.js';
import {
  RUN, World, complete, failure, heartbeat, recorded, running, snapshot, subscribed, success, welcome,
} from './fakes.mjs';
import { equal, test } from './harness.mjs';

const event = (id, what) => ({ id, ...what });

/** A client that follows a run of which two events are known, live. */
function live(options = { snapshot: snapshot() }) {
  const world = new World();
  const client = new RunClient(RUN, options, world.env);
  const seen = recorded(client);
  client.start();
  world.socket.open();
  world.socket.receive(welcome);
  world.socket.receive(subscribed(snapshot()));
  return { world, client, seen };
}

test('it offers the subprotocol and subscribes after what it has', () => {
  const { world } = live({ snapshot: snapshot(), clientId: 'tab' });
  equal([new URL(world.socket.url).pathname, world.socket.subprotocol], ['/api/v1/ws', 'runcast.v1']);
  equal(world.socket.sent[0], { op: 'subscribe', ref: 'subscribe', run_id: RUN, last_event_id: 2, client_id: 'tab' });
});

test('without a cursor it takes the one that the server gives', () => {
  const { world, client, seen } = live({});
  equal('last_event_id' in world.socket.sent[0], false);
  equal([client.cursor, client.state.steps.length], [2, 2]);
  world.socket.receive(event(3, running('s1', 10)));
  equal(seen.of('event').map(({ id }) => id), [3]);
});

test('it is live once it is subscribed', () => {
  const { seen } = live();
  equal(seen.of('connection').map(({ state }) => state), ['connecting', 'live']);
});

test('a snapshot that is ahead is shown at once and its events are still dispatched', () => {
  const { world, client, seen } = live();
  world.socket.receive(subscribed(snapshot(4, { status: 'running' }), 2));
  equal(client.state.last_event_id, 4);
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.receive(event(4, complete('s1')));
  equal([client.state.steps[0].status, client.cursor], ['queued', 4]);
  equal(seen.of('event').map(({ id }) => id), [3, 4]);
});

test('a repeated event is dispatched once', () => {
  const { world, seen } = live();
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.receive(event(3, running('s1', 10)));
  equal(seen.of('event').length, 1);
});

test('success ends it: closed, acknowledged, said once and last', () => {
  const { world, client, seen } = live();
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.receive(event(4, success()));
  equal(seen.at(-1), ['ended', { reason: 'finished', code: '', message: '' }]);
  equal([client.connection, world.socket.closedWith, world.due], ['closed', 1000, null]);
  equal(world.socket.sent.at(-1), { op: 'ack', run_id: RUN, event_id: 4 });
  equal(client.state.status, 'completed');
});

test('a failure ends it with the message in the state', () => {
  const { world, client, seen } = live();
  world.socket.receive(event(3, failure('no model')));
  equal([client.state.status, client.state.error_message, seen.of('ended').length], ['failed', 'no model', 1]);
});

test('finished without an event to come ends it', () => {
  const { world, seen } = live();
  world.socket.receive(subscribed(snapshot(9, { status: 'completed' }), 9));
  world.socket.receive({ op: 'finished', run_id: RUN });
  equal(seen.of('ended')[0].reason, 'finished');
});

test('malformed frames are reported and following goes on', () => {
  const { world, client, seen } = live();
  for (const wrong of ['{', '[]', { type: 'exploded' }, { op: 'subscribed', cursor: null }, { ...running('s1', 1) }]) {
    world.socket.receive(wrong);
  }
  world.socket.receive(event(3, running('s1', 10)));
  equal([seen.of('malformed').length, client.cursor, world.sockets.length], [5, 3, 1]);
});

test('a frame with an unknown op means nothing', () => {
  const { world, seen } = live();
  world.socket.receive({ op: 'invented_later' });
  equal(seen.of('malformed'), []);
});

test('a gap is asked for again at once, with the cursor before it', () => {
  const { world, client, seen } = live();
  world.socket.receive(event(5, running('s1', 50)));
  equal([world.sockets.length, client.cursor, client.connection], [2, 2, 'reconnecting']);
  world.socket.open();
  equal(world.socket.sent[0].last_event_id, 2);
  world.socket.receive(subscribed(snapshot(5), 2));
  for (const id of [3, 4, 5]) world.socket.receive(event(id, running('s1', id * 10)));
  equal(seen.of('event').map(({ id }) => id), [3, 4, 5]);
});

test('a gap that stays is accepted', () => {
  const { world, client } = live();
  world.socket.receive(event(5, running('s1', 50)));
  world.socket.open();
  world.socket.receive(event(5, running('s1', 50)));
  equal([client.cursor, world.sockets.length], [5, 2]);
});

test('a lost connection is resumed from the cursor', () => {
  const { world, client } = live();
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.lose();
  equal([client.connection, world.due], ['reconnecting', 500]);
  world.advance(500);
  world.socket.open();
  equal(world.socket.sent[0].last_event_id, 3);
});

test('a server that accepts and drops is waited for ever longer', () => {
  const { world } = live();
  const waits = [];
  for (let lost = 0; lost < 3; lost += 1) {
    world.socket.lose(1012);
    waits.push(world.due);
    world.advance(world.due);
    world.socket.open();
    world.socket.receive(welcome);
  }
  equal(waits, [500, 1000, 2000]);
});

test('progress makes the next wait short again', () => {
  const { world } = live();
  world.socket.lose();
  world.advance(500);
  world.socket.open();
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.lose();
  equal(world.due, 500);
});

test('silence for three heartbeats is a lost connection', () => {
  const { world, client } = live();
  world.advance(44_000);
  world.socket.receive(heartbeat());
  world.advance(44_999);
  equal(client.connection, 'live');
  world.advance(1);
  equal([client.connection, world.socket.closedWith], ['reconnecting', 1000]);
});

test('the heartbeat that the server names is the measure of silence', () => {
  const { world, client } = live();
  world.socket.receive({ op: 'welcome', heartbeat_s: 1 });
  world.socket.receive(heartbeat());
  world.advance(3_000);
  equal(client.connection, 'reconnecting');
});

test('draining is remembered as the time to come back', () => {
  const { world } = live();
  world.socket.receive({ op: 'draining', retry_after_ms: 4000 });
  world.socket.lose(1012);
  equal(world.due, 4500);
});

test('a network that comes back is used at once', () => {
  const { world } = live();
  world.socket.lose();
  globalThis.dispatchEvent(new Event('offline'));
  globalThis.dispatchEvent(new Event('online'));
  equal(world.sockets.length, 2);
});

test('it says offline where the network is gone or stays away', () => {
  const { world, client } = live();
  world.socket.lose();
  globalThis.dispatchEvent(new Event('offline'));
  equal(client.connection, 'offline');
  world.env.online = () => false;
  world.advance(500);
  world.socket.lose();
  equal(client.connection, 'offline');
});

test('a reset is taken: forgotten, dispatched, gone on from', () => {
  const { world, client, seen } = live();
  world.socket.receive(event(3, running('s1', 70)));
  const frame = { op: 'reset', run_id: RUN, reason: 'cursor_ahead_of_log', snapshot: snapshot(2), cursor: 2 };
  world.socket.receive(frame);
  equal(seen.of('reset'), [{ reason: 'cursor_ahead_of_log', cursor: 2 }]);
  equal([client.cursor, client.state.steps[0].progress_pct], [2, 0]);
  world.socket.receive(event(3, running('s1', 10)));
  equal(client.state.steps[0].progress_pct, 10);
});

test('a refusal ends it with what the server says', () => {
  const cases = [['RUN_NOT_FOUND', 'gone'], ['FORBIDDEN', 'forbidden'], ['NOT_AUTHENTICATED', 'forbidden']];
  for (const [code, reason] of cases) {
    const { world, seen } = live();
    world.socket.receive({ op: 'error', ref: 'subscribe', code, message: 'no', fatal: false });
    equal([seen.of('ended'), world.due], [[{ reason, code, message: 'no' }], null]);
  }
});

test('a close code of policy ends it', () => {
  for (const [close, code] of [[4401, 'NOT_AUTHENTICATED'], [4403, 'FORBIDDEN']]) {
    const { world, seen } = live();
    world.socket.lose(close);
    equal([seen.of('ended')[0].reason, seen.of('ended')[0].code], ['forbidden', code]);
  }
});

test('an error about something else changes nothing', () => {
  const { world, client } = live();
  world.socket.receive({ op: 'error', code: 'ACK_AHEAD', message: 'not yet', fatal: false });
  equal(client.connection, 'live');
});

test('a failing server is tried again', () => {
  const { world, client } = live();
  world.socket.receive({ op: 'error', ref: 'subscribe', code: 'INTERNAL', message: 'oops', fatal: false });
  equal([client.connection, world.due], ['reconnecting', 500]);
});

test('a server that failed at something is come back to, from the cursor', () => {
  const failed = { op: 'error', code: 'INTERNAL', message: 'The server failed.', fatal: true };
  for (const about of [{}, { run_id: RUN }, { ref: 'subscribe', run_id: RUN }, { run_id: RUN, fatal: false }]) {
    const { world, client, seen } = live();
    world.socket.receive(event(3, running('s1', 10)));
    world.socket.receive({ ...failed, ...about });
    equal([client.connection, world.due, seen.of('ended')], ['reconnecting', 500, []]);
    world.advance(500);
    world.socket.open();
    equal(world.socket.sent[0].last_event_id, 3);
    client.close();
  }
});

test('closing it closes everything and says nothing more', () => {
  const { world, client, seen } = live();
  const { socket } = world;
  client.close();
  client.close();
  socket.receive(event(3, running('s1', 10)));
  equal([seen.at(-1)[1].state, socket.closedWith, world.due], ['closed', 1000, null]);
});

test('a listener may close it while an event is handled', () => {
  const { world, client, seen } = live();
  client.addEventListener('state', () => client.close());
  world.socket.receive(event(3, success()));
  equal([seen.of('event'), seen.of('ended')], [[], []]);
});
