import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { RUN, World, recorded, settled, snapshot } from './fakes.mjs';

/** A client elsewhere whose tokens are t1, t2, t3 …; `asked` is why its function was called. */
function withTokens(tokens = ['t1', 't2', 't3', 't4']) {
  const world = new World();
  const asked = [];
  const token = async (why) => {
    asked.push(Object.keys(why).filter((fact) => why[fact]).join());
    const next = tokens.shift();
    if (next instanceof Error) throw next;
    return next;
  };
  const watch = world.client({ url: 'https://elsewhere.test', token }).watch(RUN, { snapshot: snapshot() });
  return { world, watch, asked, seen: recorded(watch) };
}

/** As a server does with a token that it does not take. */
function refuse(socket, message = 'The token is none.') {
  socket.open();
  socket.receive({ op: 'error', code: 'NOT_AUTHENTICATED', message, fatal: true });
  socket.lose(4401, 'not authenticated');
}

const tokensOf = (socket) => socket.of('authenticate').map(({ token }) => token);

test('a token is the first frame, and runs are subscribed once it was taken', async () => {
  const { world, watch, asked } = withTokens();
  await settled();
  world.socket.open();
  equal(world.socket.url, 'wss://elsewhere.test/api/v1/ws');
  deepEqual(world.socket.sent, [{ op: 'authenticate', token: 't1' }]);
  world.socket.receive({ op: 'welcome', heartbeat_s: 15 });
  world.socket.subscribed(snapshot());
  deepEqual([watch.connection.state, asked], ['live', ['']]);
});

test('a token may be a text', async () => {
  const world = new World();
  const watch = world.client({ token: 'secret' }).watch(RUN);
  await settled();
  refuse(world.socket);
  deepEqual(tokensOf(world.socket), ['secret']);
  deepEqual(watch.ending, { reason: 'forbidden', code: 'NOT_AUTHENTICATED', message: 'The token is none.' });
});

test('a token that is about to expire is renewed in place', async () => {
  const { world, watch, asked } = withTokens();
  await settled();
  world.socket.welcome();
  world.socket.subscribed(snapshot());
  world.socket.receive({ op: 'expiring', expires_in_ms: 30_000 });
  await settled();
  deepEqual([tokensOf(world.socket), asked, world.sockets.length], [['t1', 't2'], ['', 'expiring'], 1]);
  world.socket.receive({ op: 'welcome', heartbeat_s: 15 });
  deepEqual([watch.connection.state, world.socket.of('subscribe').length], ['live', 1]);
});

test('where no fresher token can be had in time the connection goes on with the old one', async () => {
  const { world, watch } = withTokens(['t1', new Error('down'), 't3']);
  await settled();
  world.socket.welcome();
  world.socket.subscribed(snapshot());
  world.socket.receive({ op: 'expiring', expires_in_ms: 30_000 });
  await settled();
  deepEqual([tokensOf(world.socket), watch.connection.state], [['t1'], 'live']);
});

/** A line whose token t1 is about to expire; `fresher` is what there is from now on. */
async function expiring(...fresher) {
  const stage = withTokens(['t1', ...fresher]);
  await settled();
  stage.world.socket.welcome();
  stage.world.socket.subscribed(snapshot());
  stage.world.socket.receive({ op: 'expiring', expires_in_ms: 30_000 });
  await settled();
  return stage;
}

/** As a server does when the token is over that it has read last. */
async function expire({ world }) {
  world.socket.receive({ op: 'error', code: 'NOT_AUTHENTICATED', message: 'It has expired.', fatal: true });
  world.socket.lose(4401);
  world.advance(world.due);
  await settled();
}

test('a fresher token that the server has not read is not what it refused', async () => {
  const stage = await expiring('t2', 't2');
  const { world, watch, asked } = stage;
  deepEqual(tokensOf(world.socket), ['t1', 't2']);
  await expire(stage);
  equal(world.sockets.length, 2);
  world.socket.welcome();
  world.socket.subscribed(snapshot());
  deepEqual([tokensOf(world.socket), asked, watch.connection.state], [['t2'], ['', 'expiring', 'refused'], 'live']);
});

test('a fresher token that the server has read is what it refuses later', async () => {
  const stage = await expiring('t2', 't2');
  stage.world.socket.receive({ op: 'welcome', heartbeat_s: 15 });
  await expire(stage);
  deepEqual([stage.world.sockets.length, stage.watch.ending?.message], [1, 'It has expired.']);
});

test('a token that is no fresher is not sent again', async () => {
  const stage = await expiring('t1', 't2');
  deepEqual(tokensOf(stage.world.socket), ['t1']);
  await expire(stage);
  stage.world.socket.open();
  deepEqual(tokensOf(stage.world.socket), ['t2']);
});

test('a fresher token that comes when its line is gone is sent on no other', async () => {
  let bring;
  const stage = await expiring(new Promise((resolve) => { bring = resolve; }), 't3', 't3');
  const { world } = stage;
  world.socket.lose();
  world.advance(world.due);
  await settled();
  world.socket.open();
  bring('t2');
  await settled();
  world.socket.receive({ op: 'welcome', heartbeat_s: 15 });
  deepEqual([world.sockets[0], world.socket].map(tokensOf), [['t1'], ['t3']]);
  await expire(stage);
  equal(stage.watch.ending?.message, 'It has expired.', 'it was t3 that was refused');
});

test('a fresher token that was lost with its line is not what the next one begins with', async () => {
  const stage = await expiring('t2', 't3', 't3');
  stage.world.socket.lose();
  stage.world.advance(stage.world.due);
  await settled();
  stage.world.socket.welcome();
  await expire(stage);
  equal(stage.watch.ending?.message, 'It has expired.', 'it was t3 that was refused');
});

test('a token that is refused is asked for again, once, saying so', async () => {
  const { world, watch, asked } = withTokens();
  await settled();
  refuse(world.socket);
  equal(watch.connection.state, 'reconnecting');
  world.advance(world.due);
  await settled();
  world.socket.welcome();
  world.socket.subscribed(snapshot());
  deepEqual([tokensOf(world.socket), asked, watch.connection.state], [['t2'], ['', 'refused'], 'live']);
});

test('a second refusal in a row ends it', async () => {
  const { world, watch, asked } = withTokens();
  await settled();
  refuse(world.socket);
  world.advance(world.due);
  await settled();
  refuse(world.socket, 'This one neither.');
  deepEqual([watch.ending.reason, watch.ending.message, asked], ['forbidden', 'This one neither.', ['', 'refused']]);
});

test('the same token again ends it with the first refusal', async () => {
  const { world, watch } = withTokens(['t1', 't1']);
  await settled();
  refuse(world.socket);
  world.advance(world.due);
  await settled();
  deepEqual([watch.ending.message, world.sockets.length, world.due], ['The token is none.', 1, null]);
});

test('a token that was taken may be refused again later', async () => {
  const { world, watch, asked } = withTokens();
  for (let round = 0; round < 3; round += 1) {
    await settled();
    world.socket.welcome();
    world.socket.receive({ op: 'error', code: 'NOT_AUTHENTICATED', message: 'It has expired.', fatal: true });
    world.socket.lose(4401);
    world.advance(world.due);
  }
  await settled();
  deepEqual([watch.ending, asked], [null, ['', 'refused', 'refused', 'refused']]);
});

test('no token at all ends it', async () => {
  const { watch } = withTokens([null]);
  await settled();
  deepEqual([watch.ending.reason, watch.ending.code], ['forbidden', 'NOT_AUTHENTICATED']);
});

test('a token that cannot be fetched is waited for like a connection', async () => {
  const { world, watch, asked } = withTokens([new Error('down'), 't2']);
  await settled();
  deepEqual([watch.connection.state, world.sockets.length, world.due], ['reconnecting', 0, 500]);
  world.advance(500);
  await settled();
  deepEqual([world.sockets.length, asked], [1, ['', '']]);
});

test('a token that never comes is given up after ten seconds, and asked for again', async () => {
  const world = new World();
  const asked = [];
  const token = () => (asked.push(0) === 1 ? new Promise(() => {}) : 't2');
  const watch = world.client({ token }).watch(RUN);
  world.advance(10_000);
  deepEqual([watch.connection.state, world.due], ['reconnecting', 500]);
  world.advance(500);
  await settled();
  deepEqual([world.sockets.length, asked.length], [1, 2]);
});

test('a token that comes when it is no longer waited for is not what is refused', async () => {
  let bring;
  const { world, watch } = withTokens([new Promise((resolve) => { bring = resolve; }), 't2', 't2']);
  world.advance(10_500);
  await settled();
  bring('t1');
  await settled();
  deepEqual(world.sockets.length, 1);
  refuse(world.socket);
  world.advance(world.due);
  await settled();
  deepEqual([tokensOf(world.socket), watch.ending?.message], [['t2'], 'The token is none.']);
});

test('a token that comes after the watch was closed opens nothing', async () => {
  const { world, watch } = withTokens();
  watch.close();
  await settled();
  deepEqual([world.sockets.length, world.due], [0, null]);
});
