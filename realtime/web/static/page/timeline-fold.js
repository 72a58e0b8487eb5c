/**
 * When each step of a run was tried, and how each attempt ended: what its events, or a state, tell of that. Pure.
 *
 * The same functions are in realtime/timeline.py, for the first paint; tests/vectors/timeline.json holds the two equal.
 *
 * @typedef {import('../run-client.js').RunEvent} RunEvent
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('../run-client.js').StepState} StepState
 *
 * @typedef {object} Attempt one attempt at a step; times are RFC 3339, UTC
 * @property {number} attempt the first is 1
 * @property {string} started_at
 * @property {?string} ended_at null: it is under way, or failed at a time that is not known and the next has not begun
 * @property {'running'|'completed'|'failed'|'cancelled'|'interrupted'} outcome interrupted: the next attempt began
 *   without an end of this one, as its worker was lost
 * @property {?string} reason why it failed or was cancelled
 *
 * @typedef {object} StepTimeline
 * @property {string} step_id
 * @property {string} agent_type
 * @property {number} position
 * @property {readonly Attempt[]} attempts oldest first; none where it has not started, or was kept from another run
 *
 * @typedef {readonly StepTimeline[]} Timeline every step of a run, by position
 */

/** @param {{position: number}} one @param {{position: number}} other */
const byPosition = (one, other) => one.position - other.position;

/**
 * A run of which nothing is known yet; its `queued` events give it its steps.
 * @returns {Timeline}
 */
export function empty() {
  return [];
}

/**
 * What is known without the log: one attempt, the last, for each step that started, from its first start.
 * @param {Pick<RunState, 'steps'>} state
 * @returns {Timeline}
 */
export function fromSnapshot({ steps }) {
  return steps
    .map((step) => ({
      step_id: step.id, agent_type: step.agent_type, position: step.position, attempts: attemptsKnown(step),
    }))
    .sort(byPosition);
}

/** @param {StepState} step @returns {Attempt[]} */
function attemptsKnown(step) {
  if (step.started_at === null) return [];
  const waiting = step.retry_at !== null;
  return [{
    attempt: step.attempt,
    started_at: step.started_at,
    ended_at: step.completed_at,
    outcome: waiting ? 'failed' : /** @type {Attempt['outcome']} not queued, for it started */ (step.status),
    reason: waiting ? step.reason : step.error_message,
  }];
}

/**
 * The timeline after `event`, the next that it has not had; the same object where that changes nothing. An event about
 * a step that the run does not have is ignored.
 * @param {Timeline} timeline
 * @param {RunEvent} event
 * @returns {Timeline}
 */
export function apply(timeline, { type, payload }) {
  const found = timeline.findIndex((step) => step.step_id === payload.step_id);
  if (type === 'queued') return found === -1 ? withStep(timeline, payload) : timeline;
  if (found === -1) return timeline;
  const step = timeline[found];
  const attempts = nextAttempts(step.attempts, type, payload);
  return attempts === step.attempts ? timeline : timeline.with(found, { ...step, attempts });
}

/** @param {Timeline} timeline @param {RunEvent['payload']} payload */
function withStep(timeline, { step_id, agent_type, position }) {
  return [...timeline, { step_id, agent_type, position, attempts: [] }].sort(byPosition);
}

/**
 * @param {readonly Attempt[]} attempts
 * @param {RunEvent['type']} type
 * @param {RunEvent['payload']} payload
 */
function nextAttempts(attempts, type, payload) {
  switch (type) {
    case 'running':
      return afterRunning(attempts, payload);
    case 'complete':
      return closed(attempts, payload.at, 'completed', null);
    case 'error': {
      const outcome = payload.error_code === 'STEP_CANCELLED' ? 'cancelled' : 'failed';
      return closed(attempts, payload.at, outcome, payload.message);
    }
    default:
      return attempts;
  }
}

/** @param {readonly Attempt[]} attempts @param {RunEvent['payload']} payload */
function afterRunning(attempts, { attempt, at, retry_at: retryAt, reason = null }) {
  const last = attempts.at(-1);
  const begins = last === undefined || attempt > last.attempt;
  /** @type {Attempt} */
  const opened = { attempt, started_at: at, ended_at: null, outcome: 'running', reason: null };
  const now = begins ? [...closed(attempts, at, 'interrupted', null), opened] : attempts;
  return retryAt && attempt === now.at(-1)?.attempt ? closed(now, at, 'failed', reason) : now;
}

/**
 * The attempts with the last ended `at`; how it ended stays where that is known.
 * @param {readonly Attempt[]} attempts
 * @param {string} at
 * @param {Attempt['outcome']} outcome
 * @param {?string} reason
 */
function closed(attempts, at, outcome, reason) {
  const last = attempts.at(-1);
  if (last === undefined || last.ended_at !== null) return attempts;
  const how = last.outcome === 'running' ? { outcome, reason } : {};
  return attempts.with(-1, { ...last, ...how, ended_at: at });
}
