/** What a client knows of the server's time where no `welcome` tells it. */
import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import { PROJECT, RUN, World, running, settled, snapshot } from './fakes.mjs';

const HOUR_MS = 3_600_000;
/** The server is this much ahead of the computer. */
const AHEAD_MS = 120_000;

/** A client without WebSocket that was told the server's time, and then slept for an hour without noticing. */
function slept() {
  const world = new World();
  world.env.WebSocket = undefined;
  const serverTime = () => new Date(world.now + AHEAD_MS).toISOString();
  const client = world.client();
  client.watch(RUN, { snapshot: snapshot(2, { server_time: serverTime() }) });
  world.source.open();
  world.sleep(HOUR_MS);
  return { world, client, serverTime, late: () => world.now + AHEAD_MS - client.now() };
}

const happened = (at) => ({ ...running('s1', 40), payload: { ...running('s1', 40).payload, at } });

test('an event over SSE puts a clock right that stood still', () => {
  const { world, serverTime, late } = slept();
  equal(late(), HOUR_MS);
  world.source.receive(happened(serverTime()), 3);
  equal(late(), 0);
});

test('an event of long ago, or without a time, does not put it back', () => {
  const { world, serverTime, late } = slept();
  const before = serverTime();
  world.advance(10_000);
  world.source.receive(happened(serverTime()), 3);
  for (const [at, id] of [[before, 4], [undefined, 5], ['noon', 6]]) world.source.receive(happened(at), id);
  equal(late(), 0);
});

test('an event of long ago says nothing where the server has told no time', () => {
  const world = new World();
  world.env.WebSocket = undefined;
  const client = world.client();
  client.watch(RUN);
  world.source.open();
  world.source.receive(happened(new Date(world.now - HOUR_MS).toISOString()), 1);
  equal(client.now(), world.now);
});

test('an answer that was long on its way does not put it back', async () => {
  const { world, client, serverTime, late } = slept();
  world.source.receive(happened(serverTime()), 3);
  const onItsWay = snapshot(3, { server_time: serverTime() });
  world.advance(10_000);
  world.answers.push([200, onItsWay], [200, { runs: [{ ...onItsWay, created_at: serverTime() }] }]);
  await client.snapshot(RUN, { projectId: PROJECT });
  client.watchProject(PROJECT);
  await settled();
  equal(late(), 0);
});

test('runs that are asked for put it right', async () => {
  const { world, client, serverTime, late } = slept();
  const run = { ...snapshot(), created_at: serverTime(), server_time: serverTime() };
  world.answers.push([200, { runs: [run] }]);
  client.watchProject(PROJECT);
  await settled();
  equal(late(), 0);
});
