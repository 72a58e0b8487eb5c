import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { RUN, World, recorded, settled, snapshot } from './fakes.mjs';

/** A client elsewhere whose tokens are t1, t2, t3 …; `asked` is what its function was called with. */
function withTokens(tokens = ['t1', 't2', 't3', 't4']) {
  const world = new World();
  const asked = [];
  const token = async (why) => {
    asked.push(why.refused);
    const next = tokens.shift();
    if (next instanceof Error) throw next;
    return next;
  };
  const watch = world.client({ url: 'https://elsewhere.test/some/page', token }).watch(RUN, { snapshot: snapshot() });
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
  deepEqual([watch.connection.state, asked], ['live', [false]]);
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
  deepEqual([tokensOf(world.socket), asked, world.sockets.length], [['t1', 't2'], [false, false], 1]);
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

test('a token that is refused is asked for again, once, saying so', async () => {
  const { world, watch, asked } = withTokens();
  await settled();
  refuse(world.socket);
  equal(watch.connection.state, 'reconnecting');
  world.advance(world.due);
  await settled();
  world.socket.welcome();
  world.socket.subscribed(snapshot());
  deepEqual([tokensOf(world.socket), asked, watch.connection.state], [['t2'], [false, true], 'live']);
});

test('a second refusal in a row ends it', async () => {
  const { world, watch, asked } = withTokens();
  await settled();
  refuse(world.socket);
  world.advance(world.due);
  await settled();
  refuse(world.socket, 'This one neither.');
  deepEqual([watch.ending.reason, watch.ending.message, asked], ['forbidden', 'This one neither.', [false, true]]);
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
  deepEqual([watch.ending, asked], [null, [false, true, true, true]]);
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
  deepEqual([world.sockets.length, asked], [1, [false, false]]);
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

test('a token that comes after the watch was closed opens nothing', async () => {
  const { world, watch } = withTokens();
  watch.close();
  await settled();
  deepEqual([world.sockets.length, world.due], [0, null]);
});
