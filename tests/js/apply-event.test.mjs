/** `applyEvent` is `fold` of realtime/snapshot.py: both are held to tests/vectors/fold.json, made by the latter. */
import { deepEqual, equal, notEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { applyEvent, emptyState, hasEnded, isTerminal, stateFromSnapshot } from '../../realtime/web/static/apply-event.js';

const vectors = JSON.parse(readFileSync(new URL('../vectors/fold.json', import.meta.url), 'utf8'));
const { snapshot } = vectors[0];

const RUN = 'r';
const AT = '2026-02-28T09:30:30.000Z';
const event = (id, type, payload) => ({ id, type, run_id: RUN, payload: { ...payload, at: AT } });
const queued = (id, step_id, position) => event(id, 'queued', { step_id, agent_type: `a${position}`, position });
const running = (id, step_id, percent) => event(id, 'running', {
  step_id, progress_pct: percent, progress_label: 'busy', attempt: 1,
});
const complete = (id, step_id) => event(id, 'complete', { step_id, tokens_used: 5, artifact_id: 'f' });
const end = (id, told) => event(id, 'complete', { run_id: RUN, all_done: true, ...told });

function frozen(state) {
  state.steps.forEach(Object.freeze);
  Object.freeze(state.steps);
  return Object.freeze(state);
}

for (const { name, snapshot: first, events, states } of vectors) {
  test(`${name}: the whole state is that of the server after each event`, () => {
    let state = frozen(stateFromSnapshot(first));
    deepEqual(state, first);
    events.forEach((told, at) => {
      const next = applyEvent(state, told);
      deepEqual(next, states[at]);
      (told.id <= state.last_event_id ? equal : notEqual)(next, state, 'the same object only where it is contained');
      state = frozen(next);
    });
  });
}

test('queued events give an empty run its steps, by position and once each', () => {
  const state = [queued(1, 's2', 2), queued(2, 's1', 1), queued(3, 's2', 2)].reduce(applyEvent, emptyState(RUN));
  deepEqual(state.steps, snapshot.steps);
  equal(state.last_event_id, 3);
});

test('the parts of a reset, which have no id, lead an empty run to where it is', () => {
  const parts = [queued(null, 's1', 1), running(null, 's1', 40), complete(null, 's1')];
  const state = [...parts, end(9, {})].reduce(applyEvent, emptyState(RUN));
  deepEqual(
    [state.last_event_id, state.status, state.total_tokens, state.started_at, state.completed_at],
    [9, 'completed', 5, AT, AT],
  );
});

test('a part of a reset is folded whatever came before, and leaves the cursor', () => {
  const state = applyEvent(stateFromSnapshot({ ...snapshot, last_event_id: 9 }), running(null, 's1', 40));
  deepEqual([state.steps[0].progress_pct, state.last_event_id], [40, 9]);
});

test('an event of a type that is unknown here only moves the cursor', () => {
  const state = stateFromSnapshot(snapshot);
  deepEqual(applyEvent(state, event(3, 'mood', { step_id: 's1' })), { ...state, last_event_id: 3 });
});

test('only the terminal event ends a run, as it says', () => {
  const state = stateFromSnapshot(snapshot);
  const step = complete(3, 's1');
  deepEqual([isTerminal(step), hasEnded(applyEvent(state, step))], [false, false]);
  for (const last of [end(3, {}), end(3, { error: true, error_code: 'STEP_FAILED' }), end(3, { error: true, error_code: 'CANCELLED' })]) {
    deepEqual([isTerminal(last), hasEnded(applyEvent(state, last))], [true, true]);
  }
});

test('steps of a snapshot are put by position', () => {
  deepEqual(stateFromSnapshot({ ...snapshot, steps: snapshot.steps.toReversed() }), snapshot);
});

test('what is no snapshot is refused', () => {
  for (const wrong of [null, undefined, 'text', {}, { ...snapshot, steps: null }, { ...snapshot, last_event_id: '7' }]) {
    throws(() => stateFromSnapshot(wrong), TypeError);
  }
});
