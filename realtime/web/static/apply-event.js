/**
 * A run as a viewer sees it, and how events change it. Pure: nothing here waits, draws or knows a connection.
 * The rules are those of `fold` in realtime/snapshot.py; a state is what the REST snapshot is.
 *
 * @typedef {object} StepState
 * @property {string} id
 * @property {string} agent_type
 * @property {number} position
 * @property {'queued'|'running'|'completed'|'failed'|'cancelled'} status
 * @property {number} progress_pct 0 to 100
 * @property {?string} progress_label
 * @property {number} attempt 0: not started
 * @property {?string} artifact_id
 * @property {?string} error_code
 * @property {?string} error_message
 * @property {?string} retry_at while it waits for another attempt: when that begins
 * @property {?string} reason why it waits, or why it failed where that is finer than its code
 * @property {boolean} stalled its agent has made no progress for some time
 * @property {boolean} cached its answer had been given before
 * @property {boolean} reused it was completed by the run that this one does again
 *
 * @typedef {object} RunState
 * @property {string} id
 * @property {'queued'|'running'|'completed'|'failed'|'cancelled'} status
 * @property {StepState[]} steps by position
 * @property {number} last_event_id the event this state is as of
 * @property {?string} error_code
 * @property {?string} error_message
 *
 * @typedef {object} RunEvent
 * @property {?number} id null: a part of a reset, to be folded whatever came before
 * @property {'queued'|'running'|'complete'|'error'} type
 * @property {string} run_id
 * @property {Object<string, any>} payload
 */

const AT_REST = { retry_at: null, reason: null, stalled: false };
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
 * @param {RunEvent} event
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
  return { id: runId, status: 'queued', steps: [], last_event_id: 0, error_code: null, error_message: null };
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
    && Number.isInteger(snapshot.last_event_id) && Array.isArray(snapshot.steps);
  if (!complete) throw new TypeError('expected a run snapshot with id, status, steps and last_event_id');
  const steps = [...snapshot.steps].sort((a, b) => a.position - b.position);
  return { error_code: null, error_message: null, ...snapshot, steps };
}

/**
 * The state after `event`, a new object; the same object where the event is already contained in it, so that state
 * never runs backwards. An event about a step that the run does not have only moves `last_event_id`.
 * @param {RunState} state
 * @param {RunEvent} event
 * @returns {RunState}
 */
export function applyEvent(state, event) {
  if (event.id !== null && event.id <= state.last_event_id) return state;
  const next = { ...state, last_event_id: event.id ?? state.last_event_id };
  if (isTerminal(event)) return { ...next, ...ending(event.payload) };
  if (event.type === 'queued') return { ...next, steps: withStep(state.steps, event.payload) };
  next.steps = state.steps.map((step) => (step.id === event.payload.step_id ? changed(step, event) : step));
  if (event.type === 'running' && state.status === 'queued') {
    next.status = 'running';
    next.started_at = event.payload.at ?? null;
  }
  return next;
}

function ending(payload) {
  const completed_at = payload.at ?? null;
  if (!payload.error) return { status: 'completed', completed_at };
  return {
    status: payload.error_code === 'CANCELLED' ? 'cancelled' : 'failed',
    error_code: payload.error_code ?? null,
    error_message: payload.message ?? null,
    cancelled_by: payload.cancelled_by ?? null,
    completed_at,
  };
}

function withStep(steps, payload) {
  if (steps.some((step) => step.id === payload.step_id)) return steps;
  const step = {
    id: payload.step_id,
    agent_type: payload.agent_type,
    position: payload.position,
    status: 'queued',
    progress_pct: 0,
    progress_label: null,
    attempt: 0,
    artifact_id: null,
    error_code: null,
    error_message: null,
    ...AT_REST,
    cached: false,
    reused: false,
  };
  return [...steps, step].sort((a, b) => a.position - b.position);
}

function changed(step, { type, payload }) {
  switch (type) {
    case 'running':
      return {
        ...step,
        status: 'running',
        progress_pct: payload.progress_pct,
        progress_label: payload.progress_label ?? null,
        attempt: payload.attempt ?? step.attempt,
        retry_at: payload.retry_at ?? null,
        reason: payload.reason ?? null,
        stalled: payload.stalled === true,
      };
    case 'complete':
      return {
        ...step,
        ...AT_REST,
        status: 'completed',
        progress_pct: 100,
        artifact_id: payload.artifact_id ?? null,
        cached: payload.cached === true,
        reused: payload.reused === true,
      };
    default:
      return {
        ...step,
        ...AT_REST,
        status: payload.error_code === 'STEP_CANCELLED' ? 'cancelled' : 'failed',
        error_code: payload.error_code ?? null,
        error_message: payload.message,
        reason: payload.reason ?? null,
      };
  }
}
