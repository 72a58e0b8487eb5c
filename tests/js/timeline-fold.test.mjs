/** The page's timeline is that of realtime/timeline.py: both are held to tests/vectors/timeline.json, told there. */
import { deepEqual, equal } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { apply, empty, fromSnapshot } from '../../realtime/web/static/page/timeline-fold.js';

const vectors = JSON.parse(readFileSync(new URL('../vectors/timeline.json', import.meta.url), 'utf8'));

const at = (second) => (second === null ? null : new Date(Date.UTC(2026, 1, 28, 9, 30, second)).toISOString());
const about = (id) => ({ agent_type: `a${id.slice(1)}`, position: Number(id.slice(1)) });

const AT_REST = {
  attempt: 0, started_at: null, completed_at: null, retry_at: null, reason: null, error_message: null,
};

function step([id, told]) {
  const times = ['started_at', 'completed_at', 'retry_at'].filter((name) => name in told);
  return { id, ...about(id), ...AT_REST, ...told, ...Object.fromEntries(times.map((name) => [name, at(told[name])])) };
}

function event([type, id, second = 0, told = {}], index) {
  const subject = id === null ? { run_id: 'r', all_done: true } : { step_id: id, ...about(id) };
  const payload = { ...subject, ...told, at: at(second) };
  return { id: index + 1, type: type === 'ended' ? 'complete' : type, run_id: 'r', payload };
}

const attempt = ([number, start, end, outcome, reason]) => ({
  attempt: number, started_at: at(start), ended_at: at(end), outcome, reason,
});

const timeline = (told) => Object.entries(told).map(([id, attempts]) => ({
  step_id: id, ...about(id), attempts: attempts.map(attempt),
}));

const start = ({ snapshot }) => (snapshot ? fromSnapshot({ steps: Object.entries(snapshot).map(step) }) : empty());

for (const told of vectors) {
  test(told.name, () => {
    const events = told.events.map(event);
    const whole = events.reduce(apply, start(told));
    deepEqual(whole, timeline(told.timeline));
    if (!told.snapshot) equal(events.reduce(apply, whole), whole, 'events that it has had change nothing');
  });
}

test('an event of a type that is unknown here changes nothing', () => {
  const [queued] = [['queued', 's1']].map(event);
  const known = apply(empty(), queued);
  equal(apply(known, { ...queued, id: 2, type: 'mood' }), known);
});
