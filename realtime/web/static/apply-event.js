/**
 * A run as a viewer sees it, and how events change it. Pure: nothing here waits, draws or knows a connection.
 * A state is what the REST snapshot is, and `applyEvent` is `fold` of realtime/snapshot.py: tests/vectors/fold.json
 * holds the two equal, field by field.
 *
 * @typedef {import('./run-client.js').StepState} StepState
 * @typedef {import('./run-client.js').RunState} RunState
 * @typedef {import('./run-client.js').RunEvent} RunEvent
 * @typedef {import('./run-client.js').ResetPart} ResetPart
 * @typedef {RunEvent['payload']} Payload
 */

const NOT_UNDER_WAY = { retry_at: null, reason: null, stalled: false, progress_age_s: null };
const ENDED = new Set(['completed', 'failed', 'cancelled']);

/**
 * True where nothing more will happen to the run.
 * @param {RunState} state
 */
export function hasEnded(state) {
  return ENDED.has(state.status);
}

/**
 * True for the last event of a run.
 * @param {RunEvent | ResetPart} event
 */
export function isTerminal(event) {
  return event.type === 'complete' && event.payload.all_done === true;
}

/**
 * A run of which nothing is known yet; its `queued` events give it its steps.
 * @param {string} runId
 * @returns {RunState}
 */
export function emptyState(runId) {
  return {
    id: runId,
    status: 'queued',
    steps: [],
    last_event_id: 0,
    total_tokens: 0,
    error_code: null,
    error_message: null,
    started_at: null,
    completed_at: null,
    cancelled_by: null,
  };
}

/**
 * The state that a snapshot shows.
 * @param {any} snapshot
 * @returns {RunState}
 * @throws {TypeError} it is no snapshot
 */
export function stateFromSnapshot(snapshot) {
  const complete = snapshot !== null && typeof snapshot === 'object'
    && typeof snapshot.id === 'string' && typeof snapshot.status === 'string'
    && Number.isInteger(snapshot.last_event_id)
    && Array.isArray(snapshot.steps) && snapshot.steps.every((/** @type {any} */ step) => typeof step?.id === 'string');
  if (!complete) throw new TypeError('expected a run snapshot with id, status, steps and last_event_id');
  const steps = [...snapshot.steps].sort((a, b) => a.position - b.position);
  return { error_code: null, error_message: null, ...snapshot, steps };
}

/**
 * The state after `event`, a new object; the same object where the event is already contained in it, so that state
 * never runs backwards. An event without id, a part of a reset, is folded whatever came before. One about a step that
 * the run does not have changes no step, but for `queued`, which adds it.
 * @param {RunState} state
 * @param {RunEvent | ResetPart} event
 * @returns {RunState}
 */
export function applyEvent(state, event) {
  if (event.id !== null && event.id <= state.last_event_id) return state;
  const next = { ...state, last_event_id: event.id ?? state.last_event_id };
  if (isTerminal(event)) return { ...next, ...ending(event.payload) };
  next.steps = event.type === 'queued' ? withStep(state.steps, event.payload) : changed(state.steps, event);
  next.total_tokens = next.steps.reduce((total, step) => total + step.tokens_used, 0);
  if (event.type === 'running' && state.status === 'queued') {
    next.status = 'running';
    next.started_at = event.payload.at ?? null;
  }
  return next;
}

/**
 * @param {Payload} payload
 * @returns {Partial<RunState>}
 */
function ending(payload) {
  const ended = { heartbeat_age_s: null, completed_at: payload.at ?? null };
  if (!payload.error) return { ...ended, status: 'completed' };
  return {
    ...ended,
    status: payload.error_code === 'CANCELLED' ? 'cancelled' : 'failed',
    error_code: payload.error_code ?? null,
    error_message: payload.message ?? null,
    cancelled_by: payload.cancelled_by ?? null,
  };
}

/**
 * @param {RunState['steps']} steps
 * @param {Payload} payload
 * @returns {RunState['steps']}
 */
function withStep(steps, payload) {
  if (steps.some((step) => step.id === payload.step_id)) return steps;
  /** @type {StepState} */
  const step = {
    id: payload.step_id,
    agent_type: payload.agent_type,
    position: payload.position,
    status: 'queued',
    progress_pct: 0,
    progress_label: null,
    attempt: 0,
    tokens_used: 0,
    artifact_id: null,
    error_code: null,
    error_message: null,
    started_at: null,
    completed_at: null,
    cached: false,
    reused: false,
    ...NOT_UNDER_WAY,
  };
  return [...steps, step].sort((a, b) => a.position - b.position);
}

/**
 * @param {RunState['steps']} steps
 * @param {RunEvent | ResetPart} event
 */
function changed(steps, { type, payload }) {
  return steps.map((step) => (step.id === payload.step_id ? { ...step, ...CHANGES[type]?.(payload, step) } : step));
}

/** @type {Partial<Record<RunEvent['type'], (payload: Payload, step: StepState) => Partial<StepState>>>} */
const CHANGES = {
  running: (payload, step) => ({
    status: 'running',
    progress_pct: payload.progress_pct,
    progress_label: payload.progress_label ?? null,
    attempt: payload.attempt ?? step.attempt,
    started_at: step.started_at ?? payload.at ?? null,
    retry_at: payload.retry_at ?? null,
    reason: payload.reason ?? null,
    stalled: payload.stalled === true,
    progress_age_s: payload.stalled === true ? step.progress_age_s : 0,
  }),
  complete: (payload) => ({
    ...NOT_UNDER_WAY,
    status: 'completed',
    progress_pct: 100,
    tokens_used: payload.tokens_used ?? 0,
    artifact_id: payload.artifact_id ?? null,
    cached: payload.cached === true,
    reused: payload.reused === true,
    completed_at: payload.at ?? null,
  }),
  error: (payload) => ({
    ...NOT_UNDER_WAY,
    status: payload.error_code === 'STEP_CANCELLED' ? 'cancelled' : 'failed',
    error_code: payload.error_code ?? null,
    error_message: payload.message ?? null,
    reason: payload.reason ?? null,
    completed_at: payload.at ?? null,
  }),
};
