import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { RUN, failure, heartbeat, queued, running, settled, snapshot, streamed, success } from './fakes.mjs';

const resetTo = (cursor, reason, first) => {
  first.payload.reset = { reason, cursor };
  return first;
};

test('without WebSocket it follows over EventSource from its cursor', () => {
  const { world, watch } = streamed();
  equal(world.source.url.pathname, `/api/v1/events/agent-runs/${RUN}`);
  equal(world.source.url.searchParams.get('last_event_id'), '2');
  deepEqual([watch.connection.state, watch.connection.transport], ['live', 'sse']);
});

test('it catches up with the snapshot that it was given', () => {
  const { world, watch } = streamed({ after: 1, snapshot: snapshot(2) });
  deepEqual([watch.connection.state, watch.connection.head], ['catching-up', 2]);
  world.source.receive(queued('s2', 2), 2);
  equal(watch.connection.state, 'live');
});

test('from the first event the state builds up', () => {
  const { world, watch, seen } = streamed({});
  equal(world.source.url.searchParams.has('last_event_id'), false);
  world.source.receive(queued('s1', 1), 1);
  world.source.receive(running('s1', 30), 2);
  deepEqual([watch.state.steps[0].progress_pct, seen.of('event').map(({ id }) => id)], [30, [1, 2]]);
});

test('after a cursor without a snapshot the state is whole, and what came before is no event', () => {
  const { world, watch, seen } = streamed({ after: 2 });
  equal(world.source.url.searchParams.get('last_event_id'), '0');
  world.source.receive(queued('s1', 1), 1);
  deepEqual([watch.connection.state, watch.connection.head], ['catching-up', 2]);
  world.source.receive(running('s1', 30), 2);
  deepEqual([watch.connection.state, watch.state.steps[0].progress_pct], ['live', 30]);
  world.source.receive(running('s1', 40), 3);
  deepEqual(seen.of('event').map(({ id }) => id), [3]);
});

test('a heartbeat is no event', () => {
  const { world, watch, seen } = streamed();
  world.source.receive(running('s1', 30), 3);
  world.source.receive(heartbeat());
  deepEqual([watch.cursor, seen.of('event').length, seen.of('malformed').length], [3, 1, 0]);
});

test('malformed data is reported and following goes on', () => {
  const { world, watch, seen } = streamed();
  world.source.receive('{"type":', 3);
  world.source.receive({ type: 'exploded', run_id: RUN, payload: {} }, 3);
  world.source.receive({ ...running('s1', 30), run_id: 'another' }, 3);
  world.source.receive(running('s1', 30), 3);
  deepEqual([seen.of('malformed').length, watch.cursor], [3, 3]);
});

test('the browser never reconnects by itself', () => {
  const { world } = streamed();
  world.source.receive(running('s1', 30), 3);
  world.source.fail();
  equal(world.source.closed, true);
  world.advance(500);
  equal(world.source.url.searchParams.get('last_event_id'), '3');
});

test('a gap is asked for again with the cursor before it', () => {
  const { world, watch } = streamed();
  world.source.receive(running('s1', 50), 5);
  deepEqual([world.sources.length, world.sources[0].closed, watch.cursor], [2, true, 2]);
  equal(world.source.url.searchParams.get('last_event_id'), '2');
  world.source.open();
  world.source.receive(running('s1', 50), 5);
  deepEqual([world.sources.length, watch.cursor], [2, 5]);
});

test('silence for three heartbeats is a lost stream', () => {
  const { world, watch } = streamed();
  world.advance(45_000);
  deepEqual([world.source.closed, watch.connection.state], [true, 'reconnecting']);
});

test('the terminal event ends it before the browser can come back', () => {
  const { world, watch, seen } = streamed();
  world.source.receive(failure('no model'), 3);
  deepEqual([world.source.closed, seen.of('ended')[0].reason, watch.state.status], [true, 'finished', 'failed']);
});

test('a refused stream is asked for its reason', async () => {
  for (const [status, reason] of [[401, 'forbidden'], [403, 'forbidden'], [404, 'gone'], [400, 'gone']]) {
    const { world, seen } = streamed();
    world.answers.push([status, {}]);
    world.source.fail(2);
    await settled();
    deepEqual([world.asked[0].method, seen.of('ended')[0]?.reason], ['HEAD', reason]);
  }
});

test('what something before the server says is a loss, not a refusal', async () => {
  for (const answer of [404, [404, 'page not found'], [401, '<p>Sign in'], [403, ''], [400, ''], [200, '<p>Welcome']]) {
    const { world, watch } = streamed();
    world.answers.push(answer);
    world.source.fail(2);
    await settled();
    deepEqual([watch.ending, watch.connection.state, world.due], [null, 'reconnecting', 500]);
  }
});

test('a stream that has nothing more ends it, once the end was asked for', async () => {
  const { world, watch } = streamed();
  world.answers.push(204, 204);
  world.source.fail(2);
  await settled();
  deepEqual([world.sources.length, watch.ending], [2, null]);
  world.source.fail(2);
  await settled();
  equal(watch.ending.reason, 'finished');
});

test('a server that is not ready is tried again', async () => {
  for (const answer of [503, new TypeError('network error')]) {
    const { world, watch } = streamed();
    world.answers.push(answer);
    world.source.fail(2);
    await settled();
    deepEqual([watch.connection.state, world.due], ['reconnecting', 500]);
  }
});

test('closing while the reason is asked for ends it silently', async () => {
  const { world, watch, seen } = streamed();
  world.answers.push([404, {}]);
  world.source.fail(2);
  watch.close();
  await settled();
  deepEqual([seen.of('ended'), world.due], [[], null]);
});

test('a reset is shown when it is whole', () => {
  const { world, watch, seen } = streamed({ snapshot: snapshot(9, { status: 'running' }) });
  world.source.receive(resetTo(4, 'cursor_ahead_of_log', queued('n1', 1)));
  world.source.receive(queued('n2', 2));
  deepEqual([watch.cursor, watch.state.steps[0].id], [9, 's1']);
  world.source.receive(running('n1', 20), 4);
  deepEqual([watch.cursor, watch.state.last_event_id, watch.connection.head], [4, 4, 4]);
  deepEqual(watch.state.steps.map(({ id, progress_pct }) => [id, progress_pct]), [['n1', 20], ['n2', 0]]);
  deepEqual(seen.of('reset').map(({ reason, cursor }) => [reason, cursor]), [['cursor_ahead_of_log', 4]]);
  world.source.receive(running('n1', 30), 5);
  deepEqual([watch.state.steps[0].progress_pct, seen.of('event').map(({ id }) => id)], [30, [5]]);
});

test('a reset in the middle of a stream is told from the id that is carried along', () => {
  const { world, watch } = streamed();
  world.source.receive(running('s1', 30), 3);
  world.source.receive(resetTo(8, 'log_expired', queued('s1', 1)));
  world.source.receive(queued('s2', 2));
  equal(watch.cursor, 3);
  world.source.receive(running('s1', 80), 8);
  deepEqual([watch.cursor, watch.state.steps[0].progress_pct], [8, 80]);
});

test('a reset whose last part cannot be read is asked for again', () => {
  const { world, watch, seen } = streamed();
  world.source.receive(resetTo(8, 'log_expired', queued('n1', 1)));
  world.source.receive('{"type":', 8);
  deepEqual([world.source.closed, watch.cursor, world.due, seen.of('malformed').length], [true, 2, 500, 1]);
  world.advance(500);
  world.source.open();
  world.source.receive(resetTo(8, 'log_expired', queued('n1', 1)));
  world.source.receive(running('n1', 20), 8);
  deepEqual([watch.cursor, watch.state.steps[0].progress_pct], [8, 20]);
});

test('a reset that breaks off leaves what was known', () => {
  const { world, watch } = streamed();
  world.source.receive(resetTo(8, 'log_expired', queued('n1', 1)));
  world.source.fail();
  deepEqual([watch.cursor, watch.state.steps.length], [2, 2]);
});

test('a reset that a full reader leaves is no part of what follows', async () => {
  const { world, watch, seen } = streamed();
  const events = watch[Symbol.asyncIterator]();
  const last = 2 + 1024;
  for (let id = 3; id <= last; id += 1) world.source.receive(running('s1', id % 100), id);
  world.source.receive(resetTo(8, 'log_expired', queued('n1', 1)));
  for (let id = 3; id <= last; id += 1) await events.next();
  equal(world.sources.length, 2);
  world.source.open();
  world.source.receive(running('s1', 30), last + 1);
  deepEqual([seen.of('reset'), watch.state.steps.length, (await events.next()).value.id], [[], 2, last + 1]);
});

test('a reset to the state of an ended run ends it', () => {
  const { world, seen } = streamed();
  world.source.receive(resetTo(8, 'log_expired', queued('n1', 1)));
  world.source.receive(success(), 8);
  deepEqual([seen.of('ended').length, world.source.closed], [1, true]);
});
