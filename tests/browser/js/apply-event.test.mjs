import { applyEvent, emptyState, hasEnded, stateFromSnapshot } from '/static/apply-event.js';
import { RUN, body, complete, failure, queued, running, snapshot, success } from './fakes.mjs';
import { equal, test, throws } from './harness.mjs';

const event = (id, what) => ({ id, ...what });
const folded = (state, ...events) => events.reduce(applyEvent, state);

test('a queued event gives an empty state its step, by position', () => {
  const state = folded(emptyState(RUN), event(1, queued('b', 2)), event(2, queued('a', 1)));
  equal(state.steps.map(({ id, status }) => [id, status]), [['a', 'queued'], ['b', 'queued']]);
  equal(state.last_event_id, 2);
});

test('a running event moves its step and the run', () => {
  const state = folded(stateFromSnapshot(snapshot()), event(3, running('s1', 40)));
  equal([state.status, state.steps[0].status, state.steps[0].progress_pct], ['running', 'running', 40]);
  equal(state.steps[1].status, 'queued');
});

test('a complete event makes its step completed at 100 with its artifact', () => {
  const [step] = folded(stateFromSnapshot(snapshot()), event(3, complete('s1'))).steps;
  equal([step.status, step.progress_pct, step.artifact_id], ['completed', 100, 'a-s1']);
});

test('an error event makes its step failed, or cancelled, with the message', () => {
  const error = (code) => body('error', { step_id: 's1', error_code: code, message: 'broken' });
  const of = (code) => folded(stateFromSnapshot(snapshot()), event(3, error(code))).steps[0];
  equal([of('STEP_FAILED').status, of('STEP_FAILED').error_message], ['failed', 'broken']);
  equal(of('STEP_CANCELLED').status, 'cancelled');
});

test('a step that waits or stalls says so until its next event', () => {
  const told = { step_id: 's1', progress_pct: 40, progress_label: 'Waiting', attempt: 1 };
  const waiting = body('running', { ...told, retry_at: '2026-11-22T09:30:05.000Z', reason: 'no answer' });
  const shown = ({ steps: [{ retry_at, reason, stalled }] }) => [retry_at, reason, stalled];
  const first = folded(stateFromSnapshot(snapshot()), event(3, waiting));
  equal(shown(first), ['2026-11-22T09:30:05.000Z', 'no answer', false]);
  const second = folded(first, event(4, body('running', { ...told, stalled: true })));
  equal(shown(second), [null, null, true]);
  for (const next of [running('s1', 41), complete('s1'), body('error', { step_id: 's1', message: 'broken' })]) {
    equal(shown(folded(second, event(5, next))), [null, null, false]);
  }
});

test('a complete event says whether its step was reused or cached', () => {
  const of = (told) => folded(stateFromSnapshot(snapshot()), event(3, body('complete', { step_id: 's1', ...told }))).steps[0];
  equal([of({ reused: true }).reused, of({ reused: true }).cached], [true, false]);
  equal([of({ cached: true }).reused, of({ cached: true }).cached], [false, true]);
});

test('an event that is contained changes nothing', () => {
  const state = folded(stateFromSnapshot(snapshot()), event(3, running('s1', 40)));
  equal(applyEvent(state, event(3, running('s1', 10))) === state, true);
  equal(applyEvent(state, event(2, running('s1', 10))) === state, true);
});

test('an event without id is folded and leaves the cursor', () => {
  const state = folded(stateFromSnapshot(snapshot(9)), event(null, running('s1', 40)));
  equal([state.steps[0].progress_pct, state.last_event_id], [40, 9]);
});

test('an event about an unknown step only moves the cursor', () => {
  const before = stateFromSnapshot(snapshot());
  const state = folded(before, event(3, complete('elsewhere')));
  equal([state.steps, state.last_event_id], [before.steps, 3]);
});

test('folding leaves the state before as it was', () => {
  const before = Object.freeze(stateFromSnapshot(snapshot()));
  before.steps.forEach(Object.freeze);
  folded(before, event(3, running('s1', 40)), event(4, complete('s1')), event(5, success()));
  equal(before.steps[0].status, 'queued');
});

test('the terminal event ends the run as it says', () => {
  const of = (what) => folded(stateFromSnapshot(snapshot()), event(3, what));
  equal([of(success()).status, hasEnded(of(success()))], ['completed', true]);
  equal([of(failure('no model')).status, of(failure('no model')).error_message], ['failed', 'no model']);
  const cancelled = body('complete', { all_done: true, error: true, error_code: 'CANCELLED', message: 'stop' });
  equal(of(cancelled).status, 'cancelled');
  const byWhom = body('complete', { ...cancelled.payload, cancelled_by: 'u1' });
  equal([of(byWhom).cancelled_by, of(failure('no model')).cancelled_by], ['u1', null]);
});

test('a step that completes does not end the run', () => {
  equal(hasEnded(folded(stateFromSnapshot(snapshot()), event(3, complete('s1')))), false);
});

test('what is no snapshot is refused', () => {
  for (const wrong of [null, undefined, 'text', {}, { ...snapshot(), steps: null }, { ...snapshot(), last_event_id: '7' }]) {
    throws(() => stateFromSnapshot(wrong), 'TypeError');
  }
});
