/** Attempts on the timeline: their words, and their place on the track. */
import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { attemptSpan, attemptText } from '../../realtime/web/static/page/attempt-text.js';

const at = (second) => new Date(Date.UTC(2026, 1, 28, 9, 0, second)).toISOString();
const ms = (second) => Date.parse(at(second));
const ended = { attempt: 1, started_at: at(10), ended_at: at(22), outcome: 'failed', reason: 'no answer' };
const open = { attempt: 2, started_at: at(30), ended_at: null, outcome: 'running', reason: null };

test('attempt in words has number, duration, outcome and reason', () => {
  equal(attemptText(ended, ms(50)), 'Attempt 1 · 0:12 · failed: no answer');
  equal(attemptText(open, ms(50)), 'Attempt 2 · 0:20 · running');
});

test('attempt on the track lies in thousandths of it', () => {
  deepEqual(attemptSpan(ended, ms(0), ms(100)), { x: 100, width: 120 });
  deepEqual(attemptSpan(open, ms(0), ms(100)), { x: 300, width: 700 });
});

test('attempt too short to be seen, or beyond the end, is still on the track', () => {
  deepEqual(attemptSpan({ ...ended, ended_at: at(10) }, ms(0), ms(100)), { x: 100, width: 4 });
  deepEqual(attemptSpan(open, ms(0), ms(30)), { x: 996, width: 4 });
  deepEqual(attemptSpan(open, ms(30), ms(30)), { x: 0, width: 4 });
});
