import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { PROJECT, RUN, World, body, event, recorded, settled, snapshot } from './fakes.mjs';

const run = (number) => `${number}`.padStart(8, '0') + RUN.slice(8);
const project = (number) => `${number}`.padStart(8, '0') + PROJECT.slice(8);
const progress = (id, number, percent) =>
  event(id, body('running', { step_id: 's1', progress_pct: percent }, run(number)));
const subscribedTo = (socket) => socket.of('subscribe').map(({ run_id }) => run_id);

/** So many runs followed by one client, live. */
function several(count) {
  const world = new World();
  const client = world.client();
  const watches = Array.from({ length: count }, (_, at) => client.watch(run(at + 1), { snapshot: of(at + 1) }));
  const seen = watches.map(recorded);
  world.socket.welcome();
  watches.forEach((_, at) => world.socket.subscribed(of(at + 1)));
  return { world, client, watches, seen };
}

const of = (number, head = 2) => snapshot(head, { id: run(number) });

test('several runs share one socket, and each gets its own events', () => {
  const { world, watches, seen } = several(3);
  equal(world.sockets.length, 1);
  world.socket.receive(progress(3, 2, 40));
  deepEqual(watches.map(({ cursor }) => cursor), [2, 3, 2]);
  deepEqual(seen.map((one) => one.of('event').length), [0, 1, 0]);
});

test('a run that is watched later is subscribed on the same socket', () => {
  const { world, client } = several(1);
  const watch = client.watch(run(9), { after: 7 });
  equal(world.socket.of('subscribe').at(-1).last_event_id, 7);
  world.socket.subscribed(of(9, 8), 7);
  deepEqual([world.sockets.length, watch.connection.state], [1, 'catching-up']);
});

test('a run that is refused leaves the others as they are', () => {
  const { world, watches } = several(2);
  world.socket.receive({ op: 'error', run_id: run(1), code: 'FORBIDDEN', message: 'no', fatal: false });
  world.socket.receive(progress(3, 2, 40));
  deepEqual([watches[0].ending.reason, watches[1].connection.state, watches[1].cursor], ['forbidden', 'live', 3]);
  deepEqual([world.socket.closedWith, world.socket.of('unsubscribe')], [null, []]);
});

test('a run that has ended gives up its place, and the last one closes the socket', async () => {
  const { world, watches } = several(2);
  world.socket.receive(event(3, body('complete', { all_done: true }, run(1))));
  deepEqual([watches[0].ending.reason, world.socket.closedWith], ['finished', null]);
  deepEqual(world.socket.of('unsubscribe'), [{ op: 'unsubscribe', run_id: run(1) }]);
  watches[1].close();
  await settled();
  equal(world.socket.closedWith, 1000);
});

test('a lost connection is lost to all, and all are resumed from their cursors', () => {
  const { world, watches, seen } = several(2);
  world.socket.receive(progress(3, 2, 40));
  world.socket.lose();
  deepEqual(watches.map(({ connection }) => connection.state), ['reconnecting', 'reconnecting']);
  equal(world.due, 500);
  world.advance(500);
  world.socket.welcome();
  const cursors = world.socket.of('subscribe').map(({ run_id, last_event_id }) => [run_id, last_event_id]);
  deepEqual(cursors, [[run(1), 2], [run(2), 3]]);
  world.socket.subscribed(of(1));
  world.socket.subscribed(of(2, 3));
  deepEqual(seen.map((one) => one.states()), [['live', 'reconnecting', 'live'], ['live', 'reconnecting', 'live']]);
});

test('a welcome that answers a token in place subscribes to nothing again', () => {
  const { world } = several(2);
  world.socket.receive({ op: 'welcome', heartbeat_s: 15 });
  equal(world.socket.of('subscribe').length, 2);
});

test('what cannot be read is told to the run it is about, or else to all', () => {
  const { world, seen } = several(2);
  world.socket.receive({ ...progress(3, 1, 40), payload: null });
  deepEqual(seen.map((one) => one.of('malformed').length), [1, 0]);
  world.socket.receive('{');
  deepEqual(seen.map((one) => one.of('malformed').length), [2, 1]);
});

test('one run watched twice is two watches and one subscription', async () => {
  const { world, client, watches } = several(1);
  world.socket.receive(progress(3, 1, 40));
  const again = client.watch(run(1), { after: 1 });
  const seen = recorded(again);
  equal(world.socket.of('subscribe').at(-1).last_event_id, 1);
  world.socket.subscribed(of(1, 3), 1);
  const queued = body('queued', { step_id: 's2', agent_type: 'qa_consultant', position: 2 }, run(1));
  world.socket.receive(event(2, queued));
  for (const id of [3, 4]) world.socket.receive(progress(id, 1, id * 10));
  deepEqual(seen.of('event').map(({ id }) => id), [2, 3, 4]);
  deepEqual([watches[0].cursor, again.cursor], [4, 4]);
  watches[0].close();
  deepEqual([world.socket.closedWith, world.socket.of('unsubscribe')], [null, []]);
  again.close();
  await settled();
  equal(world.socket.closedWith, 1000);
});

test('a second watch without a cursor gets the run from its first event', () => {
  const { world, client } = several(1);
  client.watch(run(1));
  equal(world.socket.of('subscribe').at(-1).last_event_id, 0);
});

test('runs beyond what the server allows wait for a place', () => {
  const world = new World();
  const client = world.client();
  const watches = [1, 2, 3].map((number) => client.watch(run(number)));
  world.socket.welcome({ limits: { subscriptions: 2 } });
  deepEqual(subscribedTo(world.socket), [run(1), run(2)]);
  world.socket.subscribed(of(1));
  world.socket.receive({ op: 'error', run_id: run(2), code: 'RUN_NOT_FOUND', message: 'no', fatal: false });
  deepEqual(subscribedTo(world.socket), [run(1), run(2), run(3)]);
  const fourth = client.watch(run(4));
  equal(fourth.connection.state, 'connecting');
  watches[0].close();
  equal(subscribedTo(world.socket).at(-1), run(4));
});

test('projects have their places first, and runs those that are left', () => {
  const world = new World();
  const client = world.client();
  const watches = [1, 2].map((number) => client.watch(run(number)));
  world.socket.welcome({ limits: { subscriptions: 2 } });
  watches.forEach((_, at) => world.socket.subscribed(of(at + 1)));
  const first = client.watchProject(project(1));
  deepEqual(world.socket.sent.slice(-2).map(({ op }) => op), ['unsubscribe', 'watch_project']);
  deepEqual(watches.map(({ connection }) => connection.state), ['live', 'connecting']);
  world.socket.lose();
  world.advance(500);
  world.socket.welcome({ limits: { subscriptions: 2 } });
  deepEqual(subscribedTo(world.socket), [run(1)]);
  equal(watches[1].connection.state, 'connecting');
  first.close();
  deepEqual(world.socket.sent.slice(-2).map(({ op }) => op), ['unwatch_project', 'subscribe']);
  client.watchProject(project(2));
  world.socket.receive({ op: 'error', code: 'FORBIDDEN', message: 'no', project_id: project(2), fatal: false });
  deepEqual(subscribedTo(world.socket), [run(1), run(2), run(2)], 'a project that is refused has no place');
});

test('projects beyond what the server allows are asked for', async () => {
  const world = new World();
  const client = world.client();
  [1, 2].forEach((number) => client.watchProject(project(number)));
  world.socket.welcome({ limits: { subscriptions: 1 } });
  deepEqual(world.socket.of('watch_project').map(({ project_id }) => project_id), [project(1)]);
  await settled();
  deepEqual(world.asked.map(({ url }) => new URL(url).pathname), [`/api/v1/projects/${project(2)}/agent-runs`]);
});

test('a run watched twice by one client goes on after what both have handled', async () => {
  const world = new World();
  const client = world.client({ clientId: 'tab' });
  const slow = client.watch(run(1), { snapshot: of(1) })[Symbol.asyncIterator]();
  world.socket.welcome();
  world.socket.subscribed(of(1));
  for (const id of [3, 4]) world.socket.receive(progress(id, 1, id * 10));
  const seen = recorded(client.watch(run(1)));
  equal(world.socket.of('subscribe').at(-1).last_event_id, 2);
  world.socket.subscribed(of(1, 4), 2);
  for (const id of [3, 4]) world.socket.receive(progress(id, 1, id * 10));
  deepEqual(seen.of('event').map(({ id }) => id), [3, 4]);
  const acked = () => world.socket.of('ack').at(-1).event_id;
  equal(acked(), 2);
  for (let taken = 0; taken < 3; taken += 1) slow.next();
  world.advance(1000);
  equal(acked(), 4);
});

test('sixty-four runs are subscribed at once', () => {
  const { world } = several(64);
  equal(subscribedTo(world.socket).length, 64);
});

test('sixty runs are exchanged for sixty others within what the server takes', async () => {
  const { world, client, watches } = several(60);
  const { socket } = world;
  const before = socket.sent.length;
  const asked = () => socket.sent.length - before;
  watches.forEach((watch) => watch.close());
  for (let number = 101; number <= 160; number += 1) client.watch(run(number), { snapshot: of(number) });
  await settled();
  equal(asked() < 100, true, `${asked()} at once`);
  world.advance(5_000);
  deepEqual([asked(), subscribedTo(socket).length, socket.of('unsubscribe').length], [120, 120, 60]);
  client.close();
  await settled();
  equal(world.due, null);
});

test('what the server takes is what it says', () => {
  const world = new World();
  const client = world.client();
  for (let number = 1; number <= 20; number += 1) client.watch(run(number));
  world.socket.welcome({ limits: { subscriptions: 64, frames_per_s: 4 } });
  equal(subscribedTo(world.socket).length, 6);
  world.socket.lose();
  world.advance(500);
  world.socket.welcome({ limits: { subscriptions: 64, frames_per_s: 4 } });
  equal(subscribedTo(world.socket).length, 6);
  world.advance(10_000);
  equal(subscribedTo(world.socket).length, 20);
});

test('closing the client closes all', async () => {
  const { world, client, watches } = several(2);
  client.watchProject(project(1));
  client.close();
  client.close();
  await settled();
  deepEqual(watches.map(({ connection }) => connection.state), ['closed', 'closed']);
  deepEqual([world.socket.closedWith, world.due, world.listeners], [1000, null, 0]);
});
