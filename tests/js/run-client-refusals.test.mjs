import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { PROJECT, RUN, World, live, recorded, settled, snapshot } from './fakes.mjs';

test('a refusal ends it with what the server says', async () => {
  const cases = [['RUN_NOT_FOUND', 'gone'], ['FORBIDDEN', 'forbidden'], ['BAD_FRAME', 'invalid']];
  for (const [code, reason] of cases) {
    const { world, seen } = live();
    world.socket.receive({ op: 'error', run_id: RUN, code, message: 'no', fatal: false });
    await settled();
    deepEqual([seen.of('ended'), world.due, world.socket.closedWith], [[{ reason, code, message: 'no' }], null, 1000]);
  }
});

test('a refusal is known by what it answers where it names no run', () => {
  const world = new World();
  const watch = world.client().watch(RUN);
  world.socket.welcome();
  const [{ ref }] = world.socket.of('subscribe');
  world.socket.receive({ op: 'error', ref, code: 'BAD_FRAME', message: 'subscribe: too long', fatal: false });
  deepEqual([watch.ending.reason, watch.ending.code], ['invalid', 'BAD_FRAME']);
});

test('a close code of policy ends it with the words of the error before', () => {
  for (const [close, code] of [[4401, 'NOT_AUTHENTICATED'], [4403, 'FORBIDDEN']]) {
    const { world, seen } = live();
    world.socket.receive({ op: 'error', code, message: 'The token has expired.', fatal: true });
    world.socket.lose(close, 'forbidden');
    deepEqual(seen.of('ended'), [{ reason: 'forbidden', code, message: 'The token has expired.' }]);
    equal(world.due, null);
  }
});

test('a proxy without a server behind it ends nothing, and its server is found again', async () => {
  const { world, watch, seen } = live();
  world.socket.lose(1012);
  for (let wait = 0; wait < 20; wait += 1) {
    world.advance(world.due);
    if (world.socket.readyState === 0) world.socket.lose();
    world.answers.push([404, 'page not found']);
    if (world.source?.closed === false) world.source.fail(2);
    await settled();
  }
  deepEqual([seen.of('ended'), watch.connection.state], [[], 'offline']);
  world.advance(world.due);
  world.source.open();
  equal(watch.connection.state, 'live');
});

test('an error about something else changes nothing', () => {
  const { world, watch } = live();
  for (const about of [{}, { run_id: RUN }, { run_id: 'another' }]) {
    world.socket.receive({ op: 'error', code: 'ACK_AHEAD', message: 'not yet', fatal: false, ...about });
  }
  equal(watch.connection.state, 'live');
});

test('somebody who is signed in nowhere is told so at once', () => {
  const world = new World();
  const watch = world.client().watch(RUN);
  world.socket.open();
  deepEqual(world.socket.sent, [{ op: 'ping' }]);
  const message = 'the first frame must be authenticate';
  world.socket.receive({ op: 'error', code: 'NOT_AUTHENTICATED', message, fatal: true });
  world.socket.lose(4401);
  equal(watch.ending.code, 'NOT_AUTHENTICATED');
});

test('too many is no refusal for good', () => {
  const { world, watch } = live();
  world.socket.receive({ op: 'error', code: 'TOO_MANY', message: 'later', fatal: true });
  world.socket.lose(4429);
  deepEqual([watch.connection.state, world.due], ['reconnecting', 500]);
});

test('an id that can be none\'s ends it a moment later, without a connection, over either transport', async () => {
  for (const socket of [true, false]) {
    const world = new World();
    if (!socket) world.env.WebSocket = undefined;
    const client = world.client();
    const watches = { run: client.watch('No-Uuid'), project: client.watchProject('No-Uuid') };
    const told = Object.entries(watches).map(([what, watch]) => [what, recorded(watch)]);
    await settled();
    for (const [what, seen] of told) {
      const message = `There is no ${what} “no-uuid”: the id of a ${what} is a UUID.`;
      deepEqual(seen.at(-1), ['ended', { reason: 'gone', code: 'INVALID_ID', message }]);
    }
    deepEqual([world.sockets, world.sources, world.asked, world.due], [[], [], [], null]);
  }
});

test('a loop over an id that can be none\'s throws why', async () => {
  const [item] = await Promise.allSettled([new World().client().watch('x')[Symbol.asyncIterator]().next()]);
  deepEqual([item.reason.name, item.reason.ending.code], ['WatchEndedError', 'INVALID_ID']);
});

test('what cannot be watched is a TypeError that says what was expected', () => {
  const world = new World();
  const client = world.client();
  const cases = [
    [() => client.watch(undefined), 'expected the id of a run, got undefined'],
    [() => client.watchProject(7), 'expected the id of a project, got 7'],
    [() => client.watch(RUN, { snapshot: {} }), /snapshot with id/],
    [() => client.watch(RUN, { snapshot: snapshot(2, { id: PROJECT }) }), /of run 1111.*of 9999/],
    ...[NaN, 1.5, -1, '7', 2 ** 53].map((after) => [() => client.watch(RUN, { after }), /after to be an event id/]),
  ];
  for (const [act, message] of cases) throws(act, { name: 'TypeError', message });
  deepEqual([world.sockets, world.due], [[], null]);
});
