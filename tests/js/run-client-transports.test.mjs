import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { PROJECT, RUN, World, event, heartbeat, live, recorded, running, settled, snapshot } from './fakes.mjs';

const WHILE_MS = 5 * 60_000;
const run = (number) => `${number}`.padStart(8, '0') + RUN.slice(8);

/** A watch whose WebSockets brought nothing, streamed. */
function fallenBack() {
  const world = new World();
  const client = world.client();
  const watch = client.watch(RUN, { snapshot: snapshot() });
  const seen = recorded(watch);
  world.socket.lose();
  world.advance(500);
  world.socket.lose();
  world.advance(1000);
  return { world, client, watch, seen };
}

/** The same, after the WebSocket that is tried beside the stream was refused, too. */
function withoutWebSocket() {
  const told = fallenBack();
  told.world.source.open();
  told.world.socket.lose();
  return told;
}

test('two WebSockets in a row without a frame make it fall back with the same cursor', () => {
  const { world, watch } = fallenBack();
  deepEqual([world.sockets.length, world.sources.length, watch.connection.transport], [2, 1, 'sse']);
  equal(world.source.url.searchParams.get('last_event_id'), '2');
});

test('a WebSocket that stays silent counts as none', () => {
  const world = new World();
  world.client().watch(RUN);
  world.advance(10_000 + 500 + 10_000 + 1000);
  deepEqual([world.sockets.length, world.sources.length], [2, 1]);
});

test('where WebSockets are forbidden by the page it streams at once', () => {
  const world = new World();
  world.env.WebSocket = class {
    constructor() {
      throw new DOMException('insecure', 'SecurityError');
    }
  };
  const watch = world.client().watch(RUN);
  world.source.open();
  deepEqual([world.sources.length, watch.connection.transport, watch.connection.state], [1, 'sse', 'live']);
});

test('a WebSocket that works in the middle of a run and then no longer is left, with the cursor', () => {
  const { world, watch, seen } = live();
  world.socket.receive(event(3, running('s1', 10)));
  for (const wait of [500, 1000]) {
    world.socket.lose();
    world.advance(wait);
  }
  world.socket.lose();
  world.advance(2000);
  equal(world.source.url.searchParams.get('last_event_id'), '3');
  world.source.open();
  world.source.receive(running('s1', 20), 4);
  deepEqual([watch.cursor, watch.connection.transport], [4, 'sse']);
  deepEqual(seen.of('event').map(({ id }) => id), [3, 4]);
});

test('a WebSocket that breaks again and again without progress is left, and not tried again soon', () => {
  const { world, watch } = live();
  for (let lost = 0; lost < 5; lost += 1) {
    world.socket.lose();
    world.advance(world.due);
    if (lost < 4) world.socket.welcome();
  }
  equal(watch.connection.transport, 'sse');
  world.source.open();
  equal(world.sockets.length, 5);
});

test('a WebSocket is tried once beside the stream that works, for the server may have been away', () => {
  const { world, watch, seen } = fallenBack();
  equal(world.sockets.length, 2);
  world.source.open();
  equal(world.sockets.length, 3);
  world.source.receive(running('s1', 10), 3);
  world.socket.welcome();
  deepEqual([world.source.closed, world.socket.of('subscribe')[0].last_event_id], [true, 3]);
  world.socket.subscribed(snapshot(3));
  deepEqual([watch.connection.state, watch.connection.transport], ['live', 'websocket']);
  deepEqual(seen.of('connection').at(-1).transport, 'websocket');
});

test('a stream goes on while a WebSocket is tried in vain', () => {
  const { world, watch } = withoutWebSocket();
  deepEqual([watch.connection.state, watch.connection.transport, world.source.closed], ['live', 'sse', false]);
  world.advance(20_000);
  equal(world.sockets.length, 3);
});

test('a stream that is lost is kept to, and after a while a WebSocket is tried with it', () => {
  const { world } = withoutWebSocket();
  const reconnect = () => {
    world.source.fail();
    world.advance(world.due);
    world.source.open();
  };
  reconnect();
  deepEqual([world.sources.length, world.sockets.length], [2, 3]);
  world.now += WHILE_MS;
  reconnect();
  deepEqual([world.sources.length, world.sockets.length], [3, 4]);
});

test('where the stream brings nothing either it was the network, and a WebSocket is tried again', () => {
  const { world, watch } = withoutWebSocket();
  world.source.fail();
  world.advance(world.due);
  world.source.fail();
  equal(world.sockets.length, 4);
  world.socket.welcome();
  equal(watch.connection.transport, 'websocket');
});

test('after an outage a WebSocket is tried as soon as HTTP answers, however often that was in vain', () => {
  const { world } = fallenBack();
  for (let lost = 0; lost < 4; lost += 1) {
    world.source.fail();
    world.socket.lose();
    world.advance(world.due);
  }
  const tried = world.sockets.length;
  world.source.open();
  equal(world.sockets.length, tried + 1);
});

test('beside a stream that stands a WebSocket is tried again after a while', () => {
  const { world, watch } = withoutWebSocket();
  for (const wait of [WHILE_MS - 1, 1]) {
    world.now += wait;
    world.source.receive(heartbeat());
  }
  equal(world.sockets.length, 4);
  world.socket.welcome();
  equal(watch.connection.transport, 'websocket');
});

test('a WebSocket that is tried and denied leaves the stream alone', () => {
  const { world, watch } = fallenBack();
  world.source.open();
  world.socket.open();
  world.socket.lose(4401);
  deepEqual([watch.connection.state, watch.ending], ['live', null]);
});

test('all runs fall back together, and no more of them than a browser has connections for', () => {
  const world = new World();
  world.env.WebSocket = undefined;
  const client = world.client();
  const watches = [1, 2, 3, 4, 5].map((number) => client.watch(run(number)));
  world.sources.forEach((source) => source.open());
  deepEqual(watches.map(({ connection }) => connection.state), ['live', 'live', 'live', 'live', 'connecting']);
  watches[1].close();
  equal(world.source.url.pathname.split('/').at(-1), run(5));
});

test('runs beyond that take turns, and are connecting while they wait', async () => {
  const world = new World();
  world.env.WebSocket = undefined;
  const client = world.client();
  const watches = [1, 2, 3, 4, 5].map((number) => client.watch(run(number), { after: 0 }));
  world.sources.slice(1).forEach((source) => source.open());
  world.advance(5_000);
  world.source.open();
  const states = () => watches.map(({ connection }) => connection.state);
  deepEqual(states(), ['connecting', 'connecting', 'live', 'live', 'live']);
  deepEqual(world.sources.map(({ closed }) => closed), [false, true, false, false, false]);
  watches[4].close();
  equal(world.source.url.pathname.split('/').at(-1), run(2));
  client.close();
  await settled();
  equal(world.due, null);
});

test('a lost stream is lost to its run only', () => {
  const world = new World();
  world.env.WebSocket = undefined;
  const client = world.client();
  const watches = [1, 2].map((number) => client.watch(run(number)));
  world.sources.forEach((source) => source.open());
  world.sources[0].fail();
  deepEqual(watches.map(({ connection }) => connection.state), ['reconnecting', 'live']);
  world.fire('offline');
  deepEqual(watches.map(({ connection }) => connection.state), ['offline', 'live']);
  world.fire('online');
  equal(world.sources.length, 3);
});

test('what is asked by itself leaves the waits as they are, what a person asks for ends them', async () => {
  const world = new World();
  world.env.WebSocket = undefined;
  const client = world.client({ projectId: PROJECT });
  client.watch(RUN, { snapshot: snapshot() });
  world.source.fail();
  world.answers.push([200, { runs: [] }], [201, snapshot()]);
  client.watchProject(PROJECT);
  await settled();
  deepEqual([world.asked.length, world.sources.length], [1, 1]);
  await client.start(['x']);
  equal(world.sources.length, 2);
});

test('closing the last watch ends what is tried beside it', async () => {
  const { world, watch } = fallenBack();
  world.source.open();
  watch.close();
  await settled();
  deepEqual([world.source.closed, world.socket.closedWith, world.due], [true, 1000, null]);
});

test('what was learned of WebSockets is kept for the next watch', () => {
  const { world, client, watch } = withoutWebSocket();
  watch.close();
  client.watch(RUN);
  world.source.open();
  deepEqual([world.sources.length, world.sockets.length], [2, 3]);
});

test('an answer to a request opens nothing where nothing is watched', async () => {
  const { world, client, watch } = withoutWebSocket();
  watch.close();
  world.now += WHILE_MS;
  world.answers.push([200, snapshot()]);
  await client.snapshot(RUN, { projectId: 'p1' });
  equal(world.sockets.length, 3);
});
