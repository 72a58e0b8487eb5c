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

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  banner = { hidden: true, textContent: '' };
  toasts = [];
  visited = [];
  globalThis.location = { assign: (address) => visited.push(address) };
  globalThis.document = {
    querySelector: () => ({ append: (toast) => toasts.push(toast) }),
    createElement: () => ({ append() {}, remove() { toasts = toasts.filter((toast) => toast !== this); } }),
  };
  ending = new RunEnding(banner, NAMES);
});

test('success leads to its artifacts', () => {
  ending.tell({ status: 'completed', error_message: null }, '/artifacts');
  equal(toasts.length, 1);
  mock.timers.tick(1500);
  deepEqual(visited, ['/artifacts']);
});

test('success forgotten leads nowhere, and its toast is gone at once', () => {
  ending.tell({ status: 'completed', error_message: null }, '/artifacts');
  ending.forget();
  equal(toasts.length, 0);
  mock.timers.tick(1500);
  deepEqual(visited, []);
});

test('failure is said with the name of the agent', () => {
  ending.tell({ status: 'failed', error_message: 'qa_consultant failed: no answer' }, '/artifacts');
  deepEqual([banner.textContent, banner.hidden], ['Quality failed: no answer', false]);
});
