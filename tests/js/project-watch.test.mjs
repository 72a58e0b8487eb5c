import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { PROJECT, RUN, World, recorded, settled } from './fakes.mjs';

const HOUR = '2026-11-23T09:';
const summary = (id, minute, changes = {}) => ({
  id, project_id: PROJECT, status: 'running', progress_pct: 0, created_at: `${HOUR}${minute}:00.000Z`, ...changes,
});
const ids = (watch) => watch.runs.map(({ id }) => id);
const refused = (about) => ({ op: 'error', code: 'FORBIDDEN', message: 'no', fatal: false, ...about });

/** The runs of a project, told by the server. */
function told(runs = [summary('b', 20), summary('a', 10)]) {
  const world = new World();
  const client = world.client();
  const watch = client.watchProject(PROJECT);
  const seen = recorded(watch);
  world.socket.welcome();
  world.socket.receive({ op: 'project', project_id: PROJECT, runs });
  return { world, client, watch, seen };
}

/** The same where there is no WebSocket: `answers` to what is asked for. */
async function polled(...answers) {
  const world = new World();
  world.env.WebSocket = undefined;
  world.answers.push(...answers);
  const watch = world.client().watchProject(PROJECT);
  const seen = recorded(watch);
  await settled();
  return { world, watch, seen };
}

const step = (progress_pct, status = 'running') => ({ progress_pct, status });
const run = (id, minute, steps = [step(100, 'completed'), step(35)]) => ({ ...summary(id, minute), steps });

test('the runs of a project are told, and each change', () => {
  const { world, watch, seen } = told();
  const [{ ref, ...asked }] = world.socket.of('watch_project');
  deepEqual([asked, typeof ref], [{ op: 'watch_project', project_id: PROJECT }, 'string']);
  world.socket.receive({ op: 'run', project_id: PROJECT, run: summary('a', 10, { progress_pct: 50 }) });
  world.socket.receive({ op: 'run', project_id: PROJECT, run: summary('c', 30) });
  deepEqual(ids(watch), ['c', 'b', 'a']);
  equal(watch.runs[2].progress_pct, 50);
  deepEqual(seen.of('runs').map((runs) => runs.length), [2, 2, 3]);
});

test('twenty are kept, the newest', () => {
  const { world, watch } = told(Array.from({ length: 20 }, (_, at) => summary(`r${at}`, 40 - at)));
  world.socket.receive({ op: 'run', project_id: PROJECT, run: summary('new', 50) });
  world.socket.receive({ op: 'run', project_id: PROJECT, run: summary('old', 10) });
  deepEqual([watch.runs.length, ids(watch)[0], ids(watch)[19]], [20, 'new', 'r18']);
});

test('what is known already is there at once and no news', () => {
  const world = new World();
  const runs = [summary('b', 20), summary('a', 10)];
  const watch = world.client().watchProject(PROJECT, { runs });
  const seen = recorded(watch);
  deepEqual(ids(watch), ['b', 'a']);
  world.socket.welcome();
  world.socket.receive({ op: 'project', project_id: PROJECT, runs });
  deepEqual(seen.of('runs'), []);
});

test('it shares the socket with the runs, and goes on after a lost connection', () => {
  const { world, client, watch } = told();
  client.watch(RUN);
  equal(world.sockets.length, 1);
  world.socket.lose();
  world.advance(500);
  world.socket.welcome();
  deepEqual([world.socket.of('watch_project').length, world.socket.of('subscribe').length], [1, 1]);
  world.socket.receive({ op: 'project', project_id: PROJECT, runs: [] });
  deepEqual([ids(watch), world.asked], [[], []]);
});

test('closing it tells the server, or closes the socket where nothing else is watched', async () => {
  const { world, client, watch } = told();
  const other = client.watch(RUN);
  watch.close();
  watch.close();
  deepEqual(world.socket.of('unwatch_project'), [{ op: 'unwatch_project', project_id: PROJECT }]);
  other.close();
  await settled();
  equal(world.socket.closedWith, 1000);
});

test('one project watched twice is told to both', () => {
  const { world, client, watch } = told();
  const again = client.watchProject(PROJECT);
  world.socket.receive({ op: 'project', project_id: PROJECT, runs: [summary('c', 30)] });
  deepEqual([ids(watch), ids(again)], [['c'], ['c']]);
  watch.close();
  deepEqual(world.socket.of('unwatch_project'), []);
});

test('what cannot be read leaves the runs as they were', () => {
  const { world, watch } = told();
  const project = [null, [null]].map((runs) => ({ op: 'project', runs }));
  for (const wrong of [...project, { op: 'run', run: {} }, { op: 'run', run: null }]) {
    world.socket.receive({ ...wrong, project_id: PROJECT });
  }
  deepEqual(ids(watch), ['b', 'a']);
});

test('a connection that is refused ends it', () => {
  const { world, seen } = told();
  world.socket.lose(4401, 'not authenticated');
  deepEqual(seen.of('ended').map(({ reason, code }) => [reason, code]), [['forbidden', 'NOT_AUTHENTICATED']]);
});

test('where the server does not tell, it is asked every five seconds', async () => {
  for (const about of [{ project_id: PROJECT }, { code: 'UNKNOWN_OP', ref: 'project-1' }]) {
    const { world, watch } = told([]);
    world.answers.push([200, { runs: [run('b', 20), run('a', 10, [])] }], [200, { runs: [] }]);
    world.socket.receive(refused(about));
    await settled();
    equal(world.asked[0].url, `https://runcast.test/api/v1/projects/${PROJECT}/agent-runs?limit=20`);
    const shown = watch.runs.map((one) => [one.id, one.progress_pct, one.steps_completed, one.steps_total]);
    deepEqual(shown, [['b', 67, 1, 2], ['a', 0, 0, 0]]);
    equal('steps' in watch.runs[0], false);
    world.advance(5_000);
    await settled();
    deepEqual([ids(watch), world.asked.length], [[], 2]);
    watch.close();
  }
});

test('without WebSocket it is asked, more seldom while nobody looks, and at once when somebody does', async () => {
  const { world, watch } = await polled(
    [200, { runs: [run('a', 10)] }], 503, [200, { runs: [] }], [200, { runs: [run('b', 11)] }],
  );
  deepEqual(ids(watch), ['a']);
  world.advance(5_000);
  await settled();
  deepEqual(ids(watch), ['a'], 'a failure changes nothing');
  world.hidden = true;
  world.advance(5_000);
  await settled();
  deepEqual(ids(watch), []);
  world.advance(29_000);
  await settled();
  equal(world.asked.length, 3);
  world.hidden = false;
  world.fire('visibilitychange');
  await settled();
  deepEqual([ids(watch), world.asked.length], [['b'], 4]);
  watch.close();
  equal(world.due, null);
});

test('a refusal of what is asked ends it', async () => {
  for (const [status, reason] of [[401, 'forbidden'], [403, 'forbidden'], [404, 'gone']]) {
    const { world, seen } = await polled([status, { error: 'CODE', message: 'no' }]);
    deepEqual([seen.of('ended'), world.due], [[{ reason, code: 'CODE', message: 'no' }], null]);
  }
});

test('an answer that is neither runs nor a refusal leaves it asking', async () => {
  for (const answer of [204, 429, 503, [200, {}]]) {
    const { world, seen } = await polled(answer);
    deepEqual([seen.of('ended'), world.due], [[], 5_000]);
  }
});

test('a server that answers has a WebSocket tried, and telling ends the asking', async () => {
  const world = new World();
  const watch = world.client().watchProject(PROJECT);
  world.answers.push([200, { runs: [run('a', 10)] }]);
  world.socket.lose();
  world.advance(500);
  world.socket.lose();
  await settled();
  deepEqual([world.sockets.length, ids(watch)], [3, ['a']]);
  world.socket.welcome();
  world.socket.receive({ op: 'project', project_id: PROJECT, runs: [summary('b', 20)] });
  world.advance(10_000);
  await settled();
  deepEqual([world.asked.length, ids(watch)], [1, ['b']]);
});

test('it is asked by one loop, also where the one before still waits for an answer', async () => {
  const { world, watch } = told([]);
  const deny = () => world.socket.receive(refused({ project_id: PROJECT }));
  let late;
  world.answers.push(new Promise((resolve) => (late = resolve)), [200, { runs: [run('b', 20)] }]);
  deny();
  world.socket.receive({ op: 'project', project_id: PROJECT, runs: [] });
  deny();
  late([200, { runs: [run('a', 10)] }]);
  await settled();
  deepEqual([ids(watch), world.asked.length], [['b'], 2]);
  world.answers.push([200, { runs: [] }]);
  world.advance(5_000);
  await settled();
  equal(world.asked.length, 3);
});

test('an answer that comes after it was closed is not heard', async () => {
  const world = new World();
  world.env.WebSocket = undefined;
  world.answers.push([200, { runs: [run('a', 10)] }]);
  const watch = world.client().watchProject(PROJECT);
  watch.close();
  await settled();
  deepEqual([ids(watch), world.due], [[], null]);
});

test('its connection is told: live when the runs are, lost with the line, live again', () => {
  const { world, watch, seen } = told();
  deepEqual(seen.states(), ['live']);
  world.socket.receive({ op: 'draining', retry_after_ms: 0 });
  world.socket.lose();
  const { state, since, reason, transport, cursor, head } = watch.connection;
  deepEqual([state, since, reason, transport], ['reconnecting', world.now, 'draining', 'websocket']);
  deepEqual([cursor, head], [null, null]);
  world.online = false;
  world.fire('offline');
  world.advance(500);
  world.socket.welcome();
  equal(watch.connection.state, 'offline', 'a line by itself is no runs');
  world.socket.receive({ op: 'project', project_id: PROJECT, runs: [] });
  watch.close();
  deepEqual(seen.states(), ['live', 'reconnecting', 'offline', 'live', 'closed']);
});

test('watch that begins while the line is lost says so', () => {
  const { world, client } = told();
  world.socket.lose();
  equal(client.watchProject(PROJECT).connection.state, 'reconnecting');
});

test('its connection where it is asked is what the last answer was', async () => {
  const runs = [200, { runs: [] }];
  const { world, watch, seen } = await polled(runs, 503, new TypeError('no network'), 503, [200, {}], 429, runs);
  for (let asked = 1; asked < 7; asked += 1) {
    world.advance(5_000);
    await settled();
  }
  deepEqual(seen.states(), ['live', 'reconnecting', 'offline', 'live']);
  watch.close();
  equal(watch.connection.state, 'closed');
});

test('line that is lost is of no account where it is asked', async () => {
  const { world, watch, seen } = told([]);
  world.answers.push([200, { runs: [] }]);
  world.socket.receive(refused({ project_id: PROJECT }));
  await settled();
  world.socket.lose();
  deepEqual(seen.states(), ['live']);
  watch.close();
});
