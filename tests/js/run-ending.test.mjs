/** How the end of a run is told, and no longer told when another one begins. */
import { deepEqual, equal } from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { AgentNames } from '../../realtime/web/static/page/agent-names.js';
import { RunEnding } from '../../realtime/web/static/page/run-ending.js';

const NAMES = new AgentNames([{ agent_type: 'qa_consultant', name: 'Quality' }]);

let banner;
let toasts;
let visited;
let ending;
let upload;

/** What was promised has been heard. */
const settled = () => new Promise((resolve) => { setImmediate(resolve); });

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  banner = { hidden: true, textContent: '' };
  toasts = [];
  visited = [];
  globalThis.location = { assign: (address) => visited.push(address) };
  globalThis.document = {
    querySelector: () => ({ append: (toast) => toasts.push(toast) }),
    createElement: () => ({
      append(...content) { this.content = content; },
      get isConnected() { return toasts.includes(this); },
      remove() { toasts = toasts.filter((toast) => toast !== this); },
    }),
  };
  upload = Promise.resolve(true);
  ending = new RunEnding(banner, NAMES, () => upload);
  for (const type of ['leaving', 'staying']) ending.addEventListener(type, () => visited.push(type));
});

/** Somebody sees a run succeed, and then so much time passes. */
async function succeeded(ms) {
  ending.tell({ status: 'completed', error_message: null }, '/artifacts');
  await settled();
  mock.timers.tick(ms);
  await settled();
}

test('success leads to its artifacts after a moment, and says so before', async () => {
  await succeeded(1499);
  deepEqual([toasts.length, visited], [1, ['leaving']]);
  mock.timers.tick(1);
  await settled();
  deepEqual(visited, ['leaving', '/artifacts']);
});

test('success waits for what is being uploaded, and is told once more', async () => {
  let done;
  upload = new Promise((resolve) => { done = resolve; });
  await succeeded(60_000);
  deepEqual([toasts.length, visited], [0, []]);
  done(true);
  await settled();
  equal(toasts.length, 1);
  mock.timers.tick(1500);
  await settled();
  deepEqual(visited, ['leaving', '/artifacts']);
});

test('success leads nowhere where an upload failed, and offers the way', async () => {
  upload = Promise.resolve(false);
  await succeeded(5999);
  deepEqual([visited, toasts.map(({ content }) => content.at(-1).href)], [['staying'], ['/artifacts']]);
  mock.timers.tick(1);
  deepEqual(toasts, []);
});

test('success does not lead away from an upload that begins before it does', async () => {
  await succeeded(1499);
  upload = Promise.resolve(false);
  mock.timers.tick(1);
  await settled();
  deepEqual([toasts.length, visited], [1, ['leaving', 'staying']]);
});

test('success forgotten leads nowhere, and its toast is gone at once', async () => {
  let done;
  await succeeded(0);
  ending.forget();
  equal(toasts.length, 0);
  upload = new Promise((resolve) => { done = resolve; });
  await succeeded(1500);
  ending.forget();
  done(true);
  await settled();
  mock.timers.tick(1500);
  await settled();
  deepEqual([toasts, visited], [[], ['leaving']]);
});

test('failure is said with the name of the agent', () => {
  ending.tell({ status: 'failed', error_message: 'qa_consultant failed: no answer' }, '/artifacts');
  deepEqual([banner.textContent, banner.hidden], ['Quality failed: no answer', false]);
});
