import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import {
  RUN, World, complete, event, failure, live, recorded,
  running, settled, snapshot, success, welcome,
} from './fakes.mjs';

const ids = (seen) => seen.of('event').map(({ id }) => id);

test('it offers the subprotocol and subscribes after what it has', () => {
  const { world } = live({ client: { clientId: 'tab' } });
  deepEqual([world.socket.url, world.socket.subprotocol], ['wss://runcast.test/api/v1/ws', 'runcast.v1']);
  const [{ ref, ...subscribe }] = world.socket.of('subscribe');
  equal(typeof ref, 'string');
  deepEqual(subscribe, { op: 'subscribe', run_id: RUN, last_event_id: 2, client_id: 'tab' });
});

test('without a cursor it takes the one that the server gives', () => {
  const { world, watch, seen } = live({ known: {} });
  equal('last_event_id' in world.socket.of('subscribe')[0], false);
  deepEqual([watch.cursor, watch.state.steps.length], [2, 2]);
  world.socket.receive(event(3, running('s1', 10)));
  deepEqual(ids(seen), [3]);
});

test('an id in capitals is the same run', () => {
  const world = new World();
  const watch = world.client().watch(RUN.toUpperCase());
  world.socket.welcome();
  world.socket.subscribed(snapshot());
  equal(watch.connection.state, 'live');
});

test('a snapshot that is ahead is shown at once and its events are still dispatched', () => {
  const world = new World();
  const watch = world.client().watch(RUN, { snapshot: snapshot() });
  const seen = recorded(watch);
  world.socket.welcome();
  world.socket.subscribed(snapshot(4, { status: 'running' }), 2);
  equal(watch.state.last_event_id, 4);
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.receive(event(4, complete('s1')));
  deepEqual([watch.state.steps[0].status, watch.cursor], ['queued', 4]);
  deepEqual(ids(seen), [3, 4]);
});

test('a repeated event is dispatched once', () => {
  const { world, seen } = live();
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.receive(event(3, running('s1', 10)));
  deepEqual(ids(seen), [3]);
});

test('success ends it: acknowledged, closed, said once and last', async () => {
  const { world, watch, seen } = live();
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.receive(event(4, success()));
  await settled();
  const finished = { reason: 'finished', code: '', message: '' };
  deepEqual(seen.at(-1), ['ended', finished]);
  deepEqual([watch.connection.state, world.socket.closedWith, world.due, world.listeners], ['closed', 1000, null, 0]);
  deepEqual(world.socket.of('ack').at(-1), { op: 'ack', run_id: RUN, event_id: 4 });
  deepEqual([watch.state.status, watch.ending, await watch.ended], ['completed', finished, finished]);
});

test('a failure ends it with the message in the state', () => {
  const { world, watch, seen } = live();
  world.socket.receive(event(3, failure('no model')));
  deepEqual([watch.state.status, watch.state.error_message, seen.of('ended').length], ['failed', 'no model', 1]);
});

test('finished without an event to come ends it', () => {
  const world = new World();
  const watch = world.client().watch(RUN);
  world.socket.welcome();
  world.socket.subscribed(snapshot(9, { status: 'completed' }));
  world.socket.receive({ op: 'finished', run_id: RUN });
  equal(watch.ending.reason, 'finished');
});

test('finished without the terminal event has it asked for once', () => {
  const { world, watch } = live();
  world.socket.receive({ op: 'finished', run_id: RUN });
  deepEqual([world.socket.of('subscribe').length, watch.ending], [2, null]);
  world.socket.subscribed(snapshot());
  world.socket.receive({ op: 'finished', run_id: RUN });
  equal(watch.ending.reason, 'finished');
});

test('malformed frames are reported and following goes on', () => {
  const { world, watch, seen } = live();
  const { ref } = world.socket.of('subscribe')[0];
  const subscribed = { op: 'subscribed', ref, run_id: RUN };
  const wrong = [
    '{', '[]', { type: 'exploded' }, running('s1', 1), { ...subscribed, cursor: null },
    { ...subscribed, cursor: 2, snapshot: {} }, { ...subscribed, cursor: 2, snapshot: snapshot(2, { steps: [null] }) },
    { ...event(3, running('s1', 1)), payload: null },
  ];
  for (const frame of wrong) world.socket.receive(frame);
  world.socket.receive(event(3, running('s1', 10)));
  deepEqual([seen.of('malformed').length, watch.cursor, world.sockets.length], [wrong.length, 3, 1]);
});

test('a frame with an unknown op means nothing', () => {
  const { world, seen } = live();
  world.socket.receive({ op: 'invented_later' });
  deepEqual(seen.of('malformed'), []);
});

test('a gap is asked for again at once, with the cursor before it', () => {
  const { world, watch, seen } = live();
  world.socket.receive(event(5, running('s1', 50)));
  deepEqual([world.sockets.length, watch.cursor], [1, 2]);
  equal(world.socket.of('subscribe').at(-1).last_event_id, 2);
  world.socket.receive(event(6, running('s1', 60)));
  equal(world.socket.of('subscribe').length, 2, 'what belongs to the subscription before is not heard');
  world.socket.subscribed(snapshot(6), 2);
  for (const id of [3, 4, 5, 6]) world.socket.receive(event(id, running('s1', id * 10)));
  deepEqual(ids(seen), [3, 4, 5, 6]);
});

test('a gap that stays is accepted', () => {
  const { world, watch } = live();
  world.socket.receive(event(5, running('s1', 50)));
  world.socket.subscribed(snapshot(5), 2);
  world.socket.receive(event(5, running('s1', 50)));
  deepEqual([watch.cursor, world.socket.of('subscribe').length], [5, 2]);
});

test('a reset is taken: forgotten, dispatched, gone on from', () => {
  const { world, watch, seen } = live();
  world.socket.receive(event(3, running('s1', 70)));
  const frame = { op: 'reset', run_id: RUN, reason: 'cursor_ahead_of_log', snapshot: snapshot(2), cursor: 2 };
  world.socket.receive(frame);
  const [{ state, ...reset }] = seen.of('reset');
  deepEqual(reset, { type: 'reset', run_id: RUN, reason: 'cursor_ahead_of_log', cursor: 2 });
  equal(state, seen.of('state').at(-1));
  deepEqual([watch.cursor, watch.state.steps[0].progress_pct], [2, 0]);
  world.socket.receive(event(3, running('s1', 10)));
  equal(watch.state.steps[0].progress_pct, 10);
});

test('a reset to a run that has ended ends it', () => {
  const { world, watch } = live();
  const ended = snapshot(9, { status: 'completed' });
  world.socket.receive({ op: 'reset', run_id: RUN, reason: 'log_expired', snapshot: ended, cursor: 9 });
  world.socket.receive(event(9, success()));
  world.socket.receive({ op: 'finished', run_id: RUN });
  deepEqual([watch.state.status, watch.ending.reason], ['completed', 'finished']);
});

test('what was acknowledged is said again over the next connection', () => {
  const { world } = live();
  world.socket.receive(event(3, running('s1', 10)));
  world.socket.lose();
  world.advance(2_000);
  world.socket.welcome();
  world.socket.subscribed(snapshot(3));
  deepEqual(world.socket.of('ack').map(({ event_id }) => event_id), [3]);
});

test('closing it closes everything and says nothing more', async () => {
  const { world, watch, seen } = live();
  const { socket } = world;
  watch.close();
  watch.close();
  await settled();
  socket.receive(event(3, running('s1', 10)));
  deepEqual([seen.at(-1)[1].state, socket.closedWith, world.due], ['closed', 1000, null]);
  deepEqual([await watch.ended, watch.ending], [null, null]);
});

test('a listener may close it while an event is handled', () => {
  const { world, watch, seen } = live();
  watch.addEventListener('state', () => watch.close());
  world.socket.receive(event(3, success()));
  deepEqual([seen.of('event'), seen.of('ended')], [[], []]);
});

test('a watch after the last one was closed opens a connection of its own', async () => {
  const { world, client, watch } = live();
  watch.close();
  await settled();
  const next = client.watch(RUN);
  world.socket.welcome(welcome);
  world.socket.subscribed(snapshot());
  deepEqual([world.sockets.length, next.connection.state], [2, 'live']);
});

test('what cannot be applied is malformed, whatever is wrong with it', () => {
  const { world, seen } = live();
  world.socket.receive({ op: 'error', run_id: RUN, code: 'FORBIDDEN', message: { toString: 1 } });
  deepEqual([seen.of('malformed').length, seen.of('ended')], [1, []]);
});

test('a watch that takes the place of the last one in the same task keeps the connection', async () => {
  const { world, client, watch } = live();
  watch.close();
  client.watch(RUN, { snapshot: snapshot() });
  await settled();
  deepEqual([world.sockets.length, world.socket.closedWith], [1, null]);
  deepEqual(world.socket.sent.slice(-2).map(({ op }) => op), ['unsubscribe', 'subscribe']);
});
