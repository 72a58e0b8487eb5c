import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { PROJECT, RUN, World, event, heartbeat, live, recorded, running, snapshot } from './fakes.mjs';

/** The connection is lost, and the next one stands. */
function reconnect(world, of = snapshot()) {
  world.socket.lose();
  world.advance(world.due);
  world.socket.welcome();
  world.socket.subscribed(of);
}

test('it is live once everything that had happened is here', () => {
  const world = new World();
  const watch = world.client().watch(RUN, { snapshot: snapshot() });
  const seen = recorded(watch);
  deepEqual([watch.connection.state, watch.connection.cursor, watch.connection.head], ['connecting', 2, 2]);
  world.socket.welcome();
  equal(watch.connection.state, 'connecting');
  world.socket.subscribed(snapshot(4), 2);
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.receive(event(4, running('s1', 20)));
  const told = seen.of('connection').map(({ state, cursor, head }) => [state, cursor, head]);
  deepEqual(told, [['catching-up', 2, 4], ['catching-up', 3, 4], ['live', 4, 4]]);
});

test('it says since when it is not live', () => {
  const { world, watch } = live();
  const lostAt = world.now + 7_000;
  equal(watch.connection.since, null);
  world.advance(7_000);
  world.socket.lose();
  world.advance(500);
  world.socket.welcome();
  world.socket.subscribed(snapshot(4), 2);
  deepEqual([watch.connection.state, watch.connection.since], ['catching-up', lostAt]);
});

test('a lost connection is resumed from the cursor', () => {
  const { world, watch } = live();
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.lose();
  deepEqual([watch.connection.state, world.due], ['reconnecting', 500]);
  world.advance(500);
  world.socket.welcome();
  equal(world.socket.of('subscribe')[0].last_event_id, 3);
});

test('a server that accepts and drops is waited for ever longer', () => {
  const { world } = live();
  const waits = [];
  for (let lost = 0; lost < 4; lost += 1) {
    world.socket.lose(1012);
    waits.push(world.due);
    world.advance(world.due);
    world.socket.welcome();
  }
  deepEqual(waits, [500, 1000, 2000, 4000]);
});

test('progress and a heartbeat make the next wait short again', () => {
  for (const sign of [event(3, running('s1', 10)), heartbeat()]) {
    const { world } = live();
    reconnect(world);
    world.socket.receive(sign);
    world.socket.lose();
    equal(world.due, 500);
  }
});

test('what is no progress leaves the wait as it was', () => {
  const { world } = live();
  reconnect(world);
  world.socket.receive(event(2, running('s1', 10)));
  world.socket.lose();
  equal(world.due, 1000);
});

test('a connection that brings nothing is given up after ten seconds', () => {
  const world = new World();
  world.client().watch(RUN);
  world.advance(10_000);
  deepEqual([world.socket.closedWith, world.due], [1000, 500]);
});

test('silence for three heartbeats is a lost connection', () => {
  const { world, watch } = live();
  world.advance(44_000);
  world.socket.receive(heartbeat());
  world.advance(44_999);
  equal(watch.connection.state, 'live');
  world.advance(1);
  deepEqual([watch.connection.state, world.socket.closedWith], ['reconnecting', 1000]);
});

test('silence is as long as it is, whatever the computer\'s clock is set to', () => {
  for (const back of [30_000, 3_600_000]) {
    const { world, watch } = live();
    world.advance(10_000);
    world.set = -back;
    world.advance(34_999);
    equal(watch.connection.state, 'live');
    world.advance(1);
    equal(watch.connection.state, 'reconnecting');
  }
});

test('the heartbeat that the server names is the measure of silence', () => {
  const world = new World();
  const watch = world.client().watch(RUN);
  world.socket.welcome({ heartbeat_s: 1 });
  world.socket.subscribed(snapshot());
  world.advance(2_999);
  equal(watch.connection.state, 'live');
  world.advance(1);
  equal(watch.connection.state, 'reconnecting');
});

test('draining is told, and remembered as the time to come back', () => {
  const { world, watch, seen } = live();
  world.socket.receive({ op: 'draining', retry_after_ms: 4000 });
  world.socket.lose(1012);
  deepEqual([world.due, seen.of('connection').at(-1).reason], [4500, 'draining']);
  world.advance(4_500);
  world.socket.lose();
  deepEqual([world.due, watch.connection.reason], [1000, 'draining']);
  world.advance(1_000);
  world.socket.welcome();
  world.socket.subscribed(snapshot());
  deepEqual([watch.connection.state, watch.connection.reason], ['live', null]);
});

test('a server that restarts is left alone for as long as it said', async () => {
  const { world, client } = live({ client: { projectId: PROJECT } });
  world.socket.receive({ op: 'draining', retry_after_ms: 4000 });
  world.socket.lose(1012);
  for (const type of ['online', 'visibilitychange']) world.fire(type);
  world.answers.push([201, snapshot()]);
  await client.start(['x']);
  equal(world.sockets.length, 1);
  world.advance(4_500);
  world.socket.lose();
  world.fire('online');
  equal(world.sockets.length, 3);
});

test('a network that comes back is used at once', () => {
  const { world, seen } = live();
  world.socket.lose();
  world.fire('offline');
  world.fire('online');
  deepEqual([world.sockets.length, seen.states()], [2, ['live', 'reconnecting', 'offline', 'reconnecting']]);
});

test('a page that becomes visible waits no longer', () => {
  const { world } = live();
  world.socket.lose();
  world.hidden = true;
  world.fire('visibilitychange');
  equal(world.sockets.length, 1);
  world.hidden = false;
  world.fire('visibilitychange');
  equal(world.sockets.length, 2);
});

test('a page that becomes visible replaces at once what has been silent for too long', () => {
  const { world, watch } = live();
  world.sleep(45_000);
  world.fire('visibilitychange');
  deepEqual([world.sockets[0].closedWith, world.sockets.length, watch.connection.state], [1000, 2, 'reconnecting']);
});

test('a page that becomes visible keeps a connection that works', () => {
  const { world, watch } = live();
  world.advance(44_000);
  world.fire('visibilitychange');
  world.fire('online');
  world.fire('offline');
  deepEqual([world.sockets.length, watch.connection.state], [1, 'live']);
});

test('a connection is asked for a sign of life when the network comes or goes', () => {
  for (const type of ['offline', 'online']) {
    const { world, watch } = live();
    world.fire(type);
    deepEqual(world.socket.of('ping').length, 2, 'one when it began');
    world.socket.receive({ op: 'pong' });
    world.advance(44_999);
    equal(watch.connection.state, 'live');
    world.fire(type);
    world.advance(4_999);
    equal(watch.connection.state, 'live');
    world.advance(1);
    deepEqual([watch.connection.state, world.sockets[0].closedWith], ['reconnecting', 1000]);
  }
});

test('it says offline where the network is gone', () => {
  const { world, watch } = live();
  world.online = false;
  world.socket.lose();
  equal(watch.connection.state, 'offline');
});

test('it says offline where several attempts brought nothing', () => {
  const { world, watch } = live();
  const said = [];
  for (let lost = 0; lost < 5; lost += 1) {
    (world.source ?? world.socket)[world.source ? 'fail' : 'lose']();
    said.push(watch.connection.state);
    world.advance(world.due);
  }
  deepEqual(said, ['reconnecting', 'reconnecting', 'reconnecting', 'reconnecting', 'offline']);
});

test('a server that failed at something is come back to, from the cursor', () => {
  const failed = { op: 'error', code: 'INTERNAL', message: 'The server failed.', fatal: true };
  for (const about of [{}, { run_id: RUN }, { ref: 'run-1', run_id: RUN }, { run_id: RUN, fatal: false }]) {
    const { world, watch, seen } = live();
    world.socket.receive(event(3, running('s1', 10)));
    world.socket.receive({ ...failed, ...about });
    deepEqual([watch.connection.state, world.due, seen.of('ended')], ['reconnecting', 500, []]);
    equal(world.sockets[0].closedWith, 1000);
    world.advance(500);
    world.socket.welcome();
    equal(world.socket.of('subscribe')[0].last_event_id, 3);
  }
});
