import { deepEqual, equal, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { WatchEndedError } from '../../realtime/web/static/run-client.js';
import { RUN, World, event, failure, live, running, settled, snapshot, success } from './fakes.mjs';

const acked = (world) => world.socket.of('ack').map(({ event_id }) => event_id);
const percent = (id) => event(id, running('s1', id % 100));

test('an event is acknowledged when the next is asked for', async () => {
  const { world, watch } = live();
  const events = watch[Symbol.asyncIterator]();
  world.socket.receive(percent(3));
  const { value } = await events.next();
  deepEqual([value.id, watch.cursor, acked(world)], [3, 2, []]);
  const next = events.next();
  await settled();
  deepEqual([watch.cursor, acked(world)], [3, [3]]);
  world.socket.receive(percent(4));
  equal((await next).value.id, 4);
});

test('a loop gets everything up to the terminal event and ends with it', async () => {
  const { world, watch } = live();
  const loop = (async () => {
    const ids = [];
    for await (const { id } of watch) ids.push(id);
    return ids;
  })();
  await settled();
  for (const what of [percent(3), percent(4), event(5, failure('no model'))]) world.socket.receive(what);
  equal(watch.ending, null, 'not everything has been handled');
  deepEqual(await loop, [3, 4, 5]);
  deepEqual([watch.ending.reason, acked(world).at(-1), world.socket.closedWith], ['finished', 5, 1000]);
});

test('a lost connection does not disturb what has arrived already', async () => {
  const { world, watch } = live();
  const events = watch[Symbol.asyncIterator]();
  world.socket.receive(percent(3));
  world.socket.receive(percent(4));
  world.socket.lose();
  world.advance(500);
  world.socket.welcome();
  equal(world.socket.of('subscribe')[0].last_event_id, 4);
  equal((await events.next()).value.id, 3);
  equal((await events.next()).value.id, 4);
});

test('a reset stands among the events', async () => {
  const { world, watch } = live();
  const events = watch[Symbol.asyncIterator]();
  world.socket.receive(percent(3));
  world.socket.receive({ op: 'reset', run_id: RUN, reason: 'log_expired', snapshot: snapshot(9), cursor: 9 });
  world.socket.receive(percent(10));
  const got = [await events.next(), await events.next(), await events.next()].map(({ value }) => value);
  deepEqual(got.map(({ type }) => type), ['running', 'reset', 'running']);
  deepEqual([got[1].cursor, got[1].state.last_event_id, watch.cursor], [9, 9, 9]);
});

test('leaving a loop closes the watch', async () => {
  const { world, watch } = live();
  world.socket.receive(percent(3));
  const loop = (async () => {
    for await (const { id } of watch) if (id === 4) break;
  })();
  world.socket.receive(percent(4));
  await loop;
  deepEqual([watch.connection.state, await watch.ended, world.socket.closedWith], ['closed', null, 1000]);
});

test('closing the watch ends a loop that waits', async () => {
  const { world, watch } = live();
  const events = watch[Symbol.asyncIterator]();
  const next = events.next();
  await settled();
  world.socket.receive({ op: 'pong' });
  watch.close();
  deepEqual([(await next).done, (await events.next()).done], [true, true]);
});

test('a refusal is thrown after what had arrived', async () => {
  const { world, watch } = live();
  const events = watch[Symbol.asyncIterator]();
  world.socket.receive(percent(3));
  world.socket.receive({ op: 'error', run_id: RUN, code: 'FORBIDDEN', message: 'no more', fatal: false });
  equal((await events.next()).value.id, 3);
  await rejects(events.next(), (error) => error instanceof WatchEndedError && error.ending.code === 'FORBIDDEN');
  equal((await events.next()).done, true);
});

test('a refusal is thrown where the loop waits, and where it begins too late', async () => {
  const { world, watch } = live();
  const waiting = rejects(watch[Symbol.asyncIterator]().next(), WatchEndedError);
  await settled();
  world.socket.receive({ op: 'error', run_id: RUN, code: 'FORBIDDEN', message: 'no more', fatal: false });
  await waiting;
  const late = live();
  late.world.socket.receive({ op: 'error', run_id: RUN, code: 'FORBIDDEN', message: 'no more', fatal: false });
  await rejects(late.watch[Symbol.asyncIterator]().next(), WatchEndedError);
});

test('a loop over a run that has ended ends', async () => {
  const { world, watch } = live();
  world.socket.receive(event(3, success()));
  equal((await watch[Symbol.asyncIterator]().next()).done, true);
});

test('a consumer that is too slow is left alone, and gets the rest from its cursor', async () => {
  const { world, watch } = live();
  const events = watch[Symbol.asyncIterator]();
  const last = 2 + 1024;
  for (let id = 3; id <= last + 5; id += 1) world.socket.receive(percent(id));
  deepEqual(world.socket.of('unsubscribe').length, 1);
  deepEqual([watch.connection.state, world.socket.closedWith], ['catching-up', null]);
  for (let id = 3; id <= last; id += 1) equal((await events.next()).value.id, id);
  const { last_event_id } = world.socket.of('subscribe').at(-1);
  deepEqual([world.socket.of('subscribe').length, last_event_id], [2, last]);
  world.socket.receive(percent(last + 9));
  world.socket.subscribed(snapshot(last + 5), last);
  world.socket.receive(percent(last + 1));
  equal((await events.next()).value.id, last + 1);
  equal(watch.connection.state, 'catching-up');
});

test('a consumer that is too slow stays away when the connection is another', async () => {
  const { world, watch } = live();
  const events = watch[Symbol.asyncIterator]();
  for (let id = 3; id < 3 + 1025; id += 1) world.socket.receive(percent(id));
  const { connection } = watch;
  world.socket.lose();
  equal(watch.connection.state, 'reconnecting');
  world.fire('offline');
  equal(watch.connection.state, 'offline');
  world.advance(500);
  world.socket.welcome();
  deepEqual(world.socket.of('subscribe'), []);
  equal(watch.connection.state, connection.state);
  await events.next();
  watch.close();
  await settled();
  equal(world.socket.closedWith, 1000);
});

test('without a loop an event is acknowledged when it was dispatched', () => {
  const world = new World();
  const watch = world.client({ clientId: 'tab' }).watch(RUN);
  world.socket.welcome();
  world.socket.subscribed(snapshot(3), 2);
  watch.addEventListener('event', () => deepEqual(acked(world), []));
  world.socket.receive(percent(3));
  deepEqual(acked(world), [3]);
});
