import { AckPacer, Backoff } from '/static/pacing.js';
import { World } from './fakes.mjs';
import { equal, test } from './harness.mjs';

test('waits double from half a second to twenty', () => {
  const backoff = new Backoff(() => 1);
  equal(Array.from({ length: 8 }, () => backoff.next()), [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);
});

test('waits are drawn from the whole range', () => {
  equal(new Backoff(() => 0).next(), 0);
  equal(new Backoff(() => 0.5).next(), 250);
});

test('progress makes waits short again', () => {
  const backoff = new Backoff(() => 1);
  backoff.next();
  backoff.next();
  backoff.reset();
  equal([backoff.attempts, backoff.next()], [0, 500]);
});

test('the first ack leaves at once and the newest of a second after it', () => {
  const world = new World();
  const sent = [];
  const acks = new AckPacer((id) => sent.push(id), world.env);
  [1, 2, 3].forEach((id) => acks.add(id));
  equal(sent, [1]);
  world.advance(999);
  equal(sent, [1]);
  world.advance(1);
  equal(sent, [1, 3]);
});

test('without anything new nothing is acknowledged twice', () => {
  const world = new World();
  const sent = [];
  const acks = new AckPacer((id) => sent.push(id), world.env);
  acks.add(1);
  world.advance(10_000);
  equal([sent, world.due], [[1], null]);
  acks.add(2);
  equal(sent, [1, 2]);
});

test('closing sends what is waiting and stops', () => {
  const world = new World();
  const sent = [];
  const acks = new AckPacer((id) => sent.push(id), world.env);
  acks.add(1);
  acks.add(2);
  acks.close();
  acks.close();
  equal([sent, world.due], [[1, 2], null]);
});
