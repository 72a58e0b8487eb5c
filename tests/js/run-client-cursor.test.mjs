/** A cursor beyond the run's log, over both transports: what the application is given is the same. */
import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import {
  RUN, World, complete, event, heartbeat, queued, recorded, running, settled, snapshot, success,
} from './fakes.mjs';

const FAR = [500, Number.MAX_SAFE_INTEGER];
const LOG = [queued('s1', 1), running('s1', 30), complete('s1')];
const ENDED = [...LOG, success()];

/** Tell a watch what a server has for its cursor when the log is `log`. */
const SERVERS = {
  websocket: (world, log) => {
    const over = log === ENDED;
    const known = snapshot(log.length, over ? { status: 'completed' } : {});
    world.socket.welcome();
    const { ref } = world.socket.of('subscribe').at(-1);
    const head = log.length;
    const reset = { op: 'reset', ref, run_id: RUN, reason: 'cursor_ahead_of_log', snapshot: known, cursor: head };
    world.socket.receive(reset);
    if (!over) return;
    world.socket.receive(event(head, success()));
    world.socket.receive({ op: 'finished', run_id: RUN });
  },
  sse: (world, log) => {
    world.source.open();
    const from = Number(world.source.url.searchParams.get('last_event_id'));
    log.slice(from).forEach((what, at) => world.source.receive(what, from + at + 1));
    if (log !== ENDED) world.source.receive(heartbeat());
  },
};

function watching(transport, known) {
  const world = new World();
  if (transport === 'sse') world.env.WebSocket = undefined;
  const watch = world.client().watch(RUN, known);
  return { world, watch, seen: recorded(watch) };
}

/** Everything that a loop is given, until the run has ended. */
async function loop(watch) {
  const items = [];
  for await (const { type, reason, cursor, id, state } of watch) {
    items.push({ type, reason, cursor, id, of: state?.status });
  }
  return items;
}

const next = (world, transport, id, what) =>
  (transport === 'sse' ? world.source.receive(what, id) : world.socket.receive(event(id, what)));

for (const transport of Object.keys(SERVERS)) {
  test(`a cursor beyond the log of a run that has ended is a reset, over ${transport}`, async () => {
    for (const after of FAR) {
      const { world, watch } = watching(transport, { after });
      const items = loop(watch);
      SERVERS[transport](world, ENDED);
      const reset = { type: 'reset', reason: 'cursor_ahead_of_log', cursor: 4, id: undefined, of: 'completed' };
      deepEqual(await items, [reset]);
      deepEqual([watch.ending.reason, watch.cursor, watch.connection.head], ['finished', 4, 4]);
    }
  });

  test(`a cursor beyond the log of a run that goes on is a reset, and what follows is given, over ${transport}`, () => {
    for (const after of FAR) {
      for (const known of [{ after }, { after, snapshot: snapshot(2) }]) {
        const { world, watch, seen } = watching(transport, known);
        SERVERS[transport](world, LOG);
        deepEqual([watch.connection.state, watch.connection.head, watch.cursor], ['live', 3, 3]);
        next(world, transport, 4, running('s2', 10));
        const [{ reason, cursor, state }] = seen.of('reset');
        deepEqual([reason, cursor, state.last_event_id], ['cursor_ahead_of_log', 3, 3]);
        deepEqual(seen.of('event').map(({ id }) => id), [4]);
        equal(watch.cursor, 4);
      }
    }
  });

  test(`a cursor at the head is none beyond it, over ${transport}`, () => {
    const { world, watch, seen } = watching(transport, { after: 3 });
    if (transport === 'sse') SERVERS.sse(world, LOG);
    else {
      world.socket.welcome();
      world.socket.subscribed(snapshot(3));
      world.socket.receive(heartbeat());
    }
    deepEqual([seen.of('reset'), watch.cursor, watch.connection.state], [[], 3, 'live']);
  });
}

test('over SSE a snapshot of the end says that a cursor beyond it is of another log', async () => {
  const { world, watch, seen } = watching('sse', { after: 500, snapshot: snapshot(4, { status: 'completed' }) });
  equal(world.source.url.searchParams.get('last_event_id'), '4');
  world.answers.push(204);
  world.source.fail(2);
  await settled();
  deepEqual([seen.of('reset').map(({ cursor }) => cursor), watch.ending.reason], [[4], 'finished']);
});

test('over SSE silence before the first event says nothing of the log', () => {
  const { world, watch, seen } = watching('sse', { after: 2 });
  world.source.open();
  world.source.receive(heartbeat());
  SERVERS.sse(world, LOG);
  deepEqual([seen.of('reset'), watch.cursor, seen.of('event').map(({ id }) => id)], [[], 3, [3]]);
});

test('over SSE a run that is never silent is not waited for', () => {
  const { world, watch, seen } = watching('sse', { after: 500 });
  world.source.open();
  for (let id = 1; id <= 20; id += 1) {
    next(world, 'sse', id, running('s1', id));
    world.advance(1_000);
  }
  deepEqual([seen.of('reset').map(({ cursor }) => cursor), watch.cursor], [[16], 20]);
  deepEqual(seen.of('event').map(({ id }) => id), [17, 18, 19, 20]);
});

test('who shares a subscription with one further back is reset, too', () => {
  const world = new World();
  const client = world.client();
  const [near, far] = [2, 500].map((after) => recorded(client.watch(RUN, { after })));
  world.socket.welcome();
  equal(world.socket.of('subscribe')[0].last_event_id, 2);
  world.socket.subscribed(snapshot(3), 2);
  world.socket.receive(event(3, complete('s1')));
  world.socket.receive(event(4, running('s2', 10)));
  const told = (seen) => [seen.of('reset').map(({ cursor }) => cursor), seen.of('event').map(({ id }) => id)];
  deepEqual([told(near), told(far)], [[[], [3, 4]], [[3], [4]]]);
});
