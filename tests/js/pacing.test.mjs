import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { AckPacer, Backoff } from '../../realtime/web/static/client/pacing.js';
import { World } from './fakes.mjs';

/** An AckPacer, and what it has sent. */
function pacer() {
  const world = new World();
  const sent = [];
  return { world, sent, acks: new AckPacer((id) => sent.push(id), world.env) };
}

test('waits double from half a second to twenty', () => {
  const backoff = new Backoff(() => 1);
  deepEqual(Array.from({ length: 8 }, () => backoff.next()), [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);
});

test('waits are drawn from the whole range', () => {
  equal(new Backoff(() => 0).next(), 0);
  equal(new Backoff(() => 0.5).next(), 250);
});

test('waits go on where those before ended', () => {
  equal(new Backoff(() => 1, 2).next(), 2000);
});

test('progress makes waits short again', () => {
  const backoff = new Backoff(() => 1);
  backoff.next();
  backoff.next();
  backoff.reset();
  deepEqual([backoff.attempts, backoff.next()], [0, 500]);
});

test('the first ack leaves at once and the newest of a second after it', () => {
  const { world, sent, acks } = pacer();
  [1, 2, 3].forEach((id) => acks.add(id));
  deepEqual(sent, [1]);
  world.advance(999);
  deepEqual(sent, [1]);
  world.advance(1);
  deepEqual(sent, [1, 3]);
});

test('without anything new nothing is acknowledged twice', () => {
  const { world, sent, acks } = pacer();
  acks.add(1);
  world.advance(10_000);
  deepEqual([sent, world.due], [[1], null]);
  acks.add(2);
  deepEqual(sent, [1, 2]);
});

test('what was acknowledged can be repeated and forgotten', () => {
  const { world, sent, acks } = pacer();
  acks.repeat();
  acks.add(5);
  world.advance(10_000);
  acks.repeat();
  deepEqual(sent, [5, 5]);
  world.advance(10_000);
  acks.forget();
  acks.repeat();
  acks.add(2);
  deepEqual(sent, [5, 5, 2]);
});

test('closing sends what is waiting and stops', () => {
  const { world, sent, acks } = pacer();
  acks.add(1);
  acks.add(2);
  acks.close();
  acks.close();
  acks.repeat();
  acks.forget();
  acks.add(3);
  deepEqual([sent, world.due], [[1, 2], null]);
});
