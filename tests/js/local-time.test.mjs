/** Times as they are written where the reader is. */
import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { toLocal } from '../../realtime/web/static/page/local-time.js';

/** What is said of a moment, and whether style sheets can tell that it is said. */
function local(at) {
  const time = { dateTime: at.toISOString(), textContent: '14:05 UTC', dataset: {} };
  toLocal(time);
  return [time.textContent, time.dataset.local];
}

test('time of today is short, another has its date', () => {
  const today = new Date();
  deepEqual(local(today), [today.toLocaleTimeString(undefined, { timeStyle: 'short' }), '']);
  const before = new Date(2026, 1, 28, 14, 5);
  deepEqual(local(before), [before.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }), '']);
});
