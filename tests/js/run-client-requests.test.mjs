import { deepEqual, equal, match, rejects, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { RequestError, RunClient } from '../../realtime/web/static/run-client.js';
import { ORIGIN, PROJECT, RUN, World, settled, snapshot, welcome } from './fakes.mjs';

const RUNS = `/api/v1/projects/${PROJECT}/agent-runs`;
const SERVER_TIME = '2026-11-23T12:00:00.000Z';
const denied = [401, { error: 'NOT_AUTHENTICATED', message: 'no' }];
const unready = [503, { error: 'UNAVAILABLE', message: 'Come back later.' }];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function withAnswers(answers, options = { projectId: PROJECT }) {
  const world = new World();
  world.answers.push(...answers);
  return { world, client: world.client(options) };
}

const path = ({ url }) => new URL(url).pathname;

test('the snapshot of a run is asked for with the cookie', async () => {
  const { world, client } = withAnswers([[200, snapshot(7)]]);
  equal((await client.snapshot(RUN)).last_event_id, 7);
  const [{ url, method, credentials, headers }] = world.asked;
  equal(url, `https://runcast.test${RUNS}/${RUN}`);
  deepEqual([method, credentials, headers], [undefined, 'same-origin', undefined]);
});

test('a run is started with what is wanted and an id of its own', async () => {
  const { world, client } = withAnswers([[201, snapshot()], [201, snapshot()]]);
  await client.start(['ba_consultant'], { mode: 'parallel', useCache: false, runId: RUN });
  const [{ method, headers, body }] = world.asked;
  deepEqual([path(world.asked[0]), method, headers], [RUNS, 'POST', { 'Content-Type': 'application/json' }]);
  const wanted = { agents_selected: ['ba_consultant'], pipeline_mode: 'parallel', run_id: RUN, use_cache: false };
  deepEqual(JSON.parse(body), wanted);
  await client.start(['ba_consultant']);
  const { run_id, ...rest } = JSON.parse(world.asked[1].body);
  deepEqual(rest, { agents_selected: ['ba_consultant'] });
  match(run_id, UUID);
});

test('a run is cancelled and done again', async () => {
  const { world, client } = withAnswers([[200, snapshot()], [201, snapshot()], [201, snapshot()]]);
  await client.cancel(RUN);
  await client.retry(RUN, { newRunId: RUN });
  await client.retry(RUN, { projectId: 'p2' });
  const elsewhere = `/api/v1/projects/p2/agent-runs/${RUN}/retry`;
  deepEqual(world.asked.map(path), [`${RUNS}/${RUN}/cancel`, `${RUNS}/${RUN}/retry`, elsewhere]);
  deepEqual([world.asked[0].body, JSON.parse(world.asked[1].body)], [undefined, { run_id: RUN }]);
  match(JSON.parse(world.asked[2].body).run_id, UUID);
});

test('the first project is meant where none is named, and asked for once', async () => {
  const projects = [200, { projects: [{ id: PROJECT }, { id: 'p2' }] }];
  const { world, client } = withAnswers([unready, projects, [200, snapshot()], [200, snapshot()]], {});
  await rejects(client.snapshot(RUN), { status: 503 });
  await client.snapshot(RUN);
  await client.snapshot(RUN);
  const expected = ['/api/v1/projects', '/api/v1/projects', `${RUNS}/${RUN}`, `${RUNS}/${RUN}`];
  deepEqual(world.asked.map(path), expected);
});

test('somebody without a project is told so', async () => {
  const { client } = withAnswers([[200, { projects: [] }]], {});
  await rejects(client.start(['x']), { name: 'RequestError', status: 404, code: 'PROJECT_NOT_FOUND' });
});

test('a refusal has the status, the code and the words of the server', async () => {
  const { client } = withAnswers([[409, { error: 'NOT_RETRIABLE', message: 'It is not over.' }], unready]);
  const told = { status: 409, code: 'NOT_RETRIABLE', message: 'It is not over.', unknownOutcome: false };
  const refused = client.retry(RUN);
  await rejects(refused, told);
  await rejects(refused, RequestError);
  await rejects(client.cancel(RUN), { status: 503, code: 'UNAVAILABLE', message: 'Come back later.' });
});

test('what something before the server answers is none of its words', async () => {
  const bodies = ['<p>Sign in to the hotel', '', undefined, { message: 'no Route matched' }, { error: 'Not Found' }];
  for (const status of [200, 400, 401, 403, 404, 502]) {
    for (const body of status === 200 ? bodies.slice(0, 3) : bodies) {
      const token = ({ refused }) => (refused ? 't2' : 't1');
      const { world, client } = withAnswers([[status, body]], { projectId: PROJECT, token });
      const waiting = client.watch(RUN);
      await settled();
      world.socket.lose();
      const message = `Something other than the server answered (${status}). Check the connection and try again.`;
      await rejects(client.cancel(RUN), { status: 0, code: 'BAD_ANSWER', message });
      deepEqual([waiting.connection.state, world.asked.length, world.sockets.length], ['reconnecting', 1, 1]);
    }
  }
});

test('without an answer nobody knows whether it was obeyed', async () => {
  const { client } = withAnswers([new TypeError('network error'), 502, [200, undefined], 404]);
  await rejects(client.start(['x']), { status: 0, code: 'UNREACHABLE', unknownOutcome: true });
  for (const unknownOutcome of [true, true, false]) {
    await rejects(client.start(['x']), { code: 'BAD_ANSWER', unknownOutcome });
  }
});

test('neither an answer nor a token is waited for longer than twenty seconds', async () => {
  const never = new Promise(() => {});
  for (const [token, code] of [[undefined, 'UNREACHABLE'], [() => never, 'NO_TOKEN']]) {
    const { world, client } = withAnswers([never], { projectId: PROJECT, token });
    const refused = rejects(client.cancel(RUN), { status: 0, code, unknownOutcome: code === 'UNREACHABLE' });
    await settled();
    world.advance(20_000);
    await refused;
    deepEqual([world.due, world.asked.map(({ signal }) => signal.aborted)], [null, token ? [] : [true]]);
  }
});

test('an answer to what a person does ends the wait for the next connection, and who joins that wait is told', async () => {
  const { world, client } = withAnswers([[200, snapshot()], [200, snapshot()]]);
  const waiting = client.watch(RUN);
  world.socket.lose();
  const joined = client.watch(RUN);
  deepEqual([waiting, joined].map(({ connection }) => connection.state), ['reconnecting', 'reconnecting']);
  await client.snapshot(RUN);
  equal(world.sockets.length, 1, 'a page may ask for that by itself, every few seconds');
  await client.cancel(RUN);
  equal(world.sockets.length, 2);
});

test('a token travels in a header, and another one after a refusal', async () => {
  const asked = [];
  const tokens = ['t1', 't2'];
  const token = (why) => {
    asked.push(why);
    return tokens.shift();
  };
  const options = { url: 'https://elsewhere.test', projectId: PROJECT, token };
  const { world, client } = withAnswers([denied, [201, snapshot()]], options);
  await client.start(['x']);
  deepEqual(world.asked.map(({ headers }) => headers.Authorization), ['Bearer t1', 'Bearer t2']);
  deepEqual(asked, [{ refused: false, expiring: false }, { refused: true, expiring: false }]);
  equal(world.asked[0].url, `https://elsewhere.test${RUNS}`);
});

test('a token that is refused for good is an error', async () => {
  const answers = [denied, denied];
  for (const token of ['t1', () => 't1', ({ refused }) => (refused ? 't2' : 't1')]) {
    const { client } = withAnswers(answers, { projectId: PROJECT, token });
    await rejects(client.cancel(RUN), { status: 401, code: 'NOT_AUTHENTICATED' });
  }
  const { world, client } = withAnswers([], { projectId: PROJECT, token: () => Promise.reject(new Error('down')) });
  await rejects(client.cancel(RUN), { status: 0, code: 'NO_TOKEN', unknownOutcome: false });
  equal(world.asked.length, 0);
});

test('the clock is the server\'s as soon as the server has told it', async () => {
  const { world, client } = withAnswers([[200, snapshot(2, { server_time: SERVER_TIME })]]);
  equal(client.now(), world.now);
  await client.snapshot(RUN);
  equal(client.now(), Date.parse(SERVER_TIME));
  world.now += 5_000;
  equal(client.now(), Date.parse(SERVER_TIME) + 5_000);
  client.watch(RUN);
  world.socket.open();
  world.socket.receive({ ...welcome, server_time: '2026-11-23T13:00:00.000Z' });
  equal(client.now(), Date.parse('2026-11-23T13:00:00.000Z'));
  client.close();
});

test('setting the computer\'s clock does not move the server\'s', async () => {
  const { world, client } = withAnswers([[200, snapshot(2, { server_time: SERVER_TIME })]]);
  world.set = 3_600_000;
  equal(client.now(), world.now + world.set, 'all that is known');
  await client.snapshot(RUN);
  for (const set of [0, -7_200_000]) {
    world.set = set;
    equal(client.now(), Date.parse(SERVER_TIME));
  }
  world.advance(15_000);
  equal(client.now(), Date.parse(SERVER_TIME) + 15_000);
});

test('a snapshot that was given tells the clock what it does not know better', () => {
  const { client } = withAnswers([]);
  const at = (minute) => `2026-11-23T12:${minute}:00.000Z`;
  const given = (minute) => client.watch(RUN, { snapshot: snapshot(2, { server_time: at(minute) }) });
  for (const [minute, known] of [['10', '10'], ['05', '10'], ['20', '20']]) {
    given(minute);
    equal(client.now(), Date.parse(at(known)));
  }
});

test('without a page it has to be told which server', () => {
  equal(new RunClient({ url: new URL('http://127.0.0.1:8000') }).url, 'http://127.0.0.1:8000');
  throws(() => new RunClient(), { name: 'TypeError', message: /pass { url: 'https:/ });
});

test('a server is an address of http without more, from the page on', () => {
  const world = new World();
  for (const [url, server] of [['/', ORIGIN], ['https://h:8443/', 'https://h:8443'], [undefined, ORIGIN]]) {
    equal(world.client({ url }).url, server);
  }
  const wrong = ['', 'localhost:8000', 'runs.example.org', 'wss://h', 'http://', 'https://h/x', 'https://h/?x', 'https://u:p@h/'];
  for (const url of wrong) {
    const message = `There is no server at "${url}"; expected an address without a path, like https://runs.example.org.`;
    throws(() => world.client({ url }), { name: 'TypeError', message });
  }
  world.env.address = () => 'file:///home/page.html';
  throws(() => world.client(), { name: 'TypeError', message: /no server at "file:/ });
});

test('a name of a client is one that the server takes', () => {
  const world = new World();
  for (const clientId of ['', 'x'.repeat(65), 7]) {
    throws(() => world.client({ clientId }), { name: 'TypeError', message: /clientId of 1 to 64 characters/ });
  }
  for (const clientId of ['x'.repeat(64), '🙂'.repeat(64), null]) world.client({ clientId });
});
