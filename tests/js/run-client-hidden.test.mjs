/** What a page that nobody sees does without WebSocket: all pages of a browser share a few connections. */
import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { RUN, World, running, settled, snapshot, success } from './fakes.mjs';

const run = (number) => `${number}`.padStart(8, '0') + RUN.slice(8);

function show(world, hidden) {
  world.hidden = hidden;
  world.fire('visibilitychange');
}

/** So many runs over SSE, live, in a page that was just hidden. */
function hidden(count = 1) {
  const world = new World();
  world.env.WebSocket = undefined;
  const client = world.client();
  const follow = (number) => {
    const id = run(number);
    return client.watch(id, { snapshot: snapshot(2, { id }) });
  };
  const watches = Array.from({ length: count }, (_, at) => follow(at + 1));
  open(world);
  show(world, true);
  return { world, client, follow, watches, states: () => watches.map(({ connection }) => connection.state) };
}

const streams = (world) => world.sources.filter(({ closed }) => !closed);
const open = (world) => streams(world).forEach((source) => source.readyState === 0 && source.open());
const followed = (world) => streams(world).map(({ url }) => url.pathname.split('/').at(-1));

test('a page that is hidden keeps its streams for ten seconds, then lets go of them', () => {
  const { world, states } = hidden(2);
  world.advance(9_999);
  deepEqual([streams(world).length, states()], [2, ['live', 'live']]);
  world.advance(1);
  deepEqual([streams(world).length, states()], [0, ['connecting', 'connecting']]);
});

test('a page that is hidden only for a moment keeps its streams', () => {
  const { world, states } = hidden();
  world.advance(5_000);
  show(world, false);
  world.advance(30_000);
  deepEqual([world.sources.length, states(), streams(world).length], [1, ['live'], 1]);
});

test('a hidden page takes a turn every half minute, from its cursor', () => {
  const { world, watches } = hidden();
  world.source.receive({ ...running('s1', 30), run_id: run(1) }, 3);
  world.advance(10_000 + 26_000);
  deepEqual([world.sources.length, world.source.url.searchParams.get('last_event_id')], [2, '3']);
  world.advance(2_000);
  world.source.open();
  world.source.receive({ ...running('s1', 60), run_id: run(1) }, 4);
  equal(watches[0].connection.state, 'live');
  world.advance(4_000);
  deepEqual([streams(world).length, watches[0].cursor], [0, 4]);
  world.advance(26_000);
  equal(streams(world).length, 1);
});

test('a turn in which nothing is heard goes on with the waits of a lost connection', () => {
  const { world, states } = hidden();
  world.advance(36_000);
  world.source.fail();
  deepEqual([states(), world.due], [['reconnecting'], 500]);
  world.advance(500);
  open(world);
  world.advance(4_000);
  deepEqual([streams(world).length, states()], [0, ['connecting']]);
});

test('a page that is seen again has all its streams at once', () => {
  const { world, states } = hidden(2);
  world.advance(20_000);
  show(world, false);
  open(world);
  deepEqual([streams(world).length, states()], [2, ['live', 'live']]);
  world.advance(40_000);
  equal(world.sources.length, 4);
});

test('the runs of a hidden page that did not fit into its turn have the next', () => {
  const { world } = hidden(6);
  world.advance(10_000);
  const turns = [1, 2, 3].map(() => {
    world.advance(26_000);
    const having = followed(world);
    open(world);
    world.advance(4_000);
    return having;
  });
  deepEqual(turns.map((having) => having.length), [4, 4, 4]);
  for (const at of [0, 1]) equal(new Set([...turns[at], ...turns[at + 1]]).size, 6);
});

test('a watch that is closed when another is told to wait does not come back', () => {
  const { world, watches } = hidden(2);
  watches[0].addEventListener('connection', () => watches[1].close());
  world.advance(36_000);
  deepEqual(followed(world), [run(1)]);
});

test('a run that is watched in a page that nobody has seen yet is followed for ten seconds', async () => {
  const world = new World();
  world.env.WebSocket = undefined;
  world.hidden = true;
  const client = world.client();
  const watch = client.watch(RUN, { snapshot: snapshot() });
  world.source.open();
  equal(watch.connection.state, 'live');
  world.advance(10_000);
  equal(watch.connection.state, 'connecting');
  client.watch(run(2));
  equal(streams(world).length, 0);
  client.close();
  await settled();
  deepEqual([world.due, world.listeners], [null, 0]);
});

test('a run that ends while nobody looks has ended after its turn', async () => {
  const { world, watches } = hidden();
  world.advance(36_000);
  world.source.open();
  world.source.receive({ ...success(), run_id: run(1) }, 3);
  await settled();
  deepEqual([watches[0].ending.reason, world.due, world.listeners], ['finished', null, 0]);
});

test('a hidden page that has a WebSocket keeps it', () => {
  const world = new World();
  const watch = world.client().watch(RUN, { snapshot: snapshot() });
  world.socket.welcome();
  world.socket.subscribed(snapshot());
  show(world, true);
  world.advance(40_000);
  deepEqual([world.sockets.length, watch.connection.state], [1, 'live']);
});
