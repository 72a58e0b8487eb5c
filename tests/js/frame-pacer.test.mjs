import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { FramePacer } from '../../realtime/web/static/client/frame-pacer.js';
import { World } from './fakes.mjs';

const subscribe = (run_id) => ({ op: 'subscribe', run_id });
const unsubscribe = (run_id) => ({ op: 'unsubscribe', run_id });
const names = (count, from = 0) => Array.from({ length: count }, (_, at) => `r${at + from}`);

/** A pacer for a server that takes so many frames a second, and what it has sent. */
function pacer(framesPerS = 10) {
  const world = new World();
  const sent = [];
  const frames = new FramePacer((frame) => sent.push(frame), world.env);
  frames.pace(framesPerS);
  return { world, sent, frames };
}

/** The same, which may send nothing for now. */
function exhausted() {
  const told = pacer();
  names(15).forEach((name) => told.frames.send(subscribe(name)));
  told.sent.splice(0);
  return told;
}

test('some frames leave at once, the others no faster than the server takes them', () => {
  const { world, sent, frames } = pacer();
  names(20).forEach((name) => frames.send(subscribe(name)));
  equal(sent.length, 15);
  world.advance(99);
  equal(sent.length, 15);
  world.advance(1);
  equal(sent.length, 16);
  world.advance(10_000);
  deepEqual([sent.map(({ run_id }) => run_id), world.due], [names(20), null]);
});

test('after a while as many may leave at once again, and no more', () => {
  const { world, sent, frames } = exhausted();
  world.advance(60_000);
  names(20, 20).forEach((name) => frames.send(subscribe(name)));
  equal(sent.length, 15);
});

test('what is left while it waits is never asked for', () => {
  const { world, sent, frames } = exhausted();
  frames.send(subscribe('new'));
  frames.send(unsubscribe('new'));
  world.advance(10_000);
  deepEqual(sent, []);
});

test('what is asked for again before it was left is asked for once', () => {
  const { world, sent, frames } = exhausted();
  frames.send(unsubscribe('r1'));
  frames.send(subscribe('r1'));
  world.advance(10_000);
  deepEqual(sent, [subscribe('r1')]);
});

test('places are left before others are taken', () => {
  const { world, sent, frames } = exhausted();
  frames.send(subscribe('new'));
  frames.send({ op: 'watch_project', project_id: 'p' });
  frames.send(unsubscribe('r1'));
  world.advance(10_000);
  deepEqual(sent.map(({ op }) => op), ['unsubscribe', 'subscribe', 'watch_project']);
});

test('nothing is sent after it was closed', () => {
  const { world, sent, frames } = exhausted();
  frames.send(subscribe('new'));
  frames.close();
  world.advance(10_000);
  deepEqual([sent, world.due], [[], null]);
});

test('a server that does not say how many frames it takes is sent fifty a second', () => {
  const { world, sent, frames } = pacer('many');
  names(200).forEach((name) => frames.send(subscribe(name)));
  equal(sent.length, 75);
  world.advance(1_000);
  equal(sent.length, 125);
});

test('a server that says it again allows no more for that', () => {
  const { sent, frames } = exhausted();
  frames.pace(10);
  frames.send(subscribe('new'));
  equal(sent.length, 0);
});
