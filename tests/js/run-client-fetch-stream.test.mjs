import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { FakeBody, RUN, World, recorded, running, settled, snapshot, success } from './fakes.mjs';

/** A client with tokens and without WebSocket; `answers` to what it fetches. */
async function streamed(answers, tokens = ['t1', 't2', 't3']) {
  const world = new World();
  world.env.WebSocket = undefined;
  world.answers.push(...answers);
  const watch = world.client({ token: () => tokens.shift() }).watch(RUN, { snapshot: snapshot() });
  const seen = recorded(watch);
  await settled();
  return { world, watch, seen };
}

const sse = (id, what) => `id: ${id}\ndata: ${JSON.stringify(what)}\n\n`;
const denied = [401, { error: 'NOT_AUTHENTICATED', message: 'It has expired.' }];

test('with a token it streams by fetch, with the cursor in a header', async () => {
  const body = new FakeBody();
  const { world, watch, seen } = await streamed([[200, body]]);
  const [{ url, headers }] = world.asked;
  equal(new URL(url).pathname, `/api/v1/events/agent-runs/${RUN}`);
  deepEqual(headers, { Accept: 'text/event-stream', Authorization: 'Bearer t1', 'Last-Event-ID': '2' });
  equal(watch.connection.state, 'live');
  body.write(sse(3, running('s1', 30)));
  await settled();
  deepEqual([watch.cursor, seen.of('event').length, world.sources.length], [3, 1, 0]);
});

test('text that is cut within a character reads the same', async () => {
  const body = new FakeBody();
  const { watch } = await streamed([[200, body]]);
  const what = running('s1', 30);
  what.payload.progress_label = 'Prüft 測試 🙂';
  for (const byte of new TextEncoder().encode(`\uFEFF${sse(3, what)}`)) body.write(Uint8Array.of(byte));
  await settled();
  equal(watch.state.steps[0].progress_label, 'Prüft 測試 🙂');
});

test('without a token it streams by fetch where there is no EventSource', async () => {
  const world = new World();
  world.env.WebSocket = world.env.EventSource = undefined;
  world.answers.push([200, new FakeBody()]);
  const watch = world.client().watch(RUN);
  await settled();
  deepEqual([world.asked[0].headers, watch.connection.state], [{ Accept: 'text/event-stream' }, 'live']);
});

test('a stream that ends or breaks is resumed from the cursor with a token of its own', async () => {
  for (const end of ['end', 'fail']) {
    const body = new FakeBody();
    const { world, watch } = await streamed([[200, body], [200, new FakeBody()]]);
    body.write(sse(3, running('s1', 30)));
    await settled();
    body[end]();
    await settled();
    equal(watch.connection.state, 'reconnecting');
    world.advance(500);
    await settled();
    const { headers } = world.asked[1];
    deepEqual([headers['Last-Event-ID'], headers.Authorization, watch.connection.state], ['3', 'Bearer t2', 'live']);
  }
});

test('the terminal event ends it and the stream', async () => {
  const body = new FakeBody();
  const { world, watch } = await streamed([[200, body]]);
  body.write(sse(3, success()) + sse(4, running('s1', 1)));
  await settled();
  deepEqual([watch.ending.reason, world.asked[0].signal.aborted, watch.cursor], ['finished', true, 3]);
});

test('bytes that are no message are a sign of life', async () => {
  const body = new FakeBody();
  const { world, watch } = await streamed([[200, body]]);
  world.advance(44_000);
  body.write(': still here\n');
  await settled();
  world.advance(44_999);
  equal(watch.connection.state, 'live');
  world.advance(1);
  deepEqual([watch.connection.state, world.asked[0].signal.aborted], ['reconnecting', true]);
});

test('a message of another type is none for us', async () => {
  const body = new FakeBody();
  const { watch, seen } = await streamed([[200, body]]);
  body.write(`event: novel\n${sse(3, running('s1', 30))}`);
  await settled();
  deepEqual([watch.cursor, seen.of('malformed')], [2, []]);
});

test('a refused token is renewed once', async () => {
  const { world, watch } = await streamed([denied, [200, new FakeBody()]]);
  world.advance(world.due);
  await settled();
  deepEqual([world.asked[1].headers.Authorization, watch.connection.state], ['Bearer t2', 'live']);
});

test('a token refused twice ends it with what the server says', async () => {
  const { world, watch } = await streamed([denied, denied]);
  world.advance(world.due);
  await settled();
  deepEqual(watch.ending, { reason: 'forbidden', code: 'NOT_AUTHENTICATED', message: 'It has expired.' });
});

test('other refusals end it', async () => {
  for (const [status, reason] of [[403, 'forbidden'], [404, 'gone'], [400, 'gone']]) {
    const { watch } = await streamed([[status, { error: 'NO', message: 'no' }]]);
    deepEqual([watch.ending.reason, watch.ending.message], [reason, 'no']);
  }
});

test('what something before the server says is a loss, not a refusal', async () => {
  const bodies = ['page not found', '', undefined, {}, { message: 'no Route matched' }, { error: 'Not Found', message: 'no' }];
  const answers = [400, 401, 403, 404].flatMap((status) => bodies.map((body) => [status, body]));
  for (const answer of [...answers, [200, '<p>Welcome to the hotel'], [200, {}]]) {
    const { world, watch, seen } = await streamed([answer]);
    deepEqual([watch.ending, seen.states(), world.due], [null, ['reconnecting'], 500]);
  }
});

test('a server that is not ready is tried again', async () => {
  const withoutBody = 200;
  for (const answer of [503, 429, withoutBody, new TypeError('network error')]) {
    const { world, seen } = await streamed([answer]);
    deepEqual([seen.states(), world.due], [['reconnecting'], 500]);
  }
});

test('closing it ends the request, also before it was answered', async () => {
  const { world, watch, seen } = await streamed([[200, new FakeBody()]]);
  watch.close();
  await settled();
  deepEqual([world.asked[0].signal.aborted, world.due, seen.states()], [true, null, ['live', 'closed']]);
  const early = new World();
  early.env.WebSocket = early.env.EventSource = undefined;
  early.answers.push([200, new FakeBody()]);
  early.client().watch(RUN).close();
  await settled();
  equal(early.due, null);
});
