/**
 * How a step looks on its card. Pure.
 *
 * @typedef {import('./run-client.js').StepState} StepState
 *
 * @typedef {Object<string, ?string>} CardAttributes what `<agent-status-card>` is given; null: it has no such attribute
 */

const STATUS = { queued: 'queued', running: 'running', completed: 'complete', failed: 'error', cancelled: 'error' };
const REUSED = 'Kept from the run before.';
const CACHED = 'Answered from the cache.';

/**
 * @param {StepState} step
 * @param {string} name of its agent, for people
 * @returns {CardAttributes} every attribute that a card can have, so that none of the state before stays
 */
export function cardAttributes(step, name) {
  const status = STATUS[step.status] ?? 'queued';
  const chip = chipOf(step);
  return {
    'agent-type': step.agent_type,
    name,
    status,
    progress: String(step.progress_pct),
    chip,
    paused: present(status === 'running' && chip !== null),
    cancelled: present(step.status === 'cancelled'),
    label: (step.retry_at ? waiting(step, step.retry_at) : step.progress_label) || null,
    message: (status === 'complete' ? origin(step) : step.error_message) || null,
    attempt: step.attempt > 0 ? String(step.attempt) : null,
    cached: present(step.cached),
    reused: present(step.reused),
    tokens: step.tokens_used > 0 ? String(step.tokens_used) : null,
  };
}

/** @param {boolean} fact */
function present(fact) {
  return fact ? '' : null;
}

/** What stands for the status, where that says too little. @param {StepState} step */
function chipOf(step) {
  if (step.status === 'cancelled') return 'Cancelled';
  if (step.retry_at) return 'Waiting';
  return step.stalled ? 'Stalled' : null;
}

/**
 * `Attempt 1 failed, trying again at 9:30:05 AM: no answer`: a label's `in 5 s` would not count down.
 * @param {StepState} step
 * @param {string} at when another attempt begins
 */
function waiting({ progress_label: label, reason }, at) {
  const begins = new Date(at);
  if (Number.isNaN(begins.getTime())) return `${label ?? ''}: ${reason ?? ''}`;
  const failed = (label ?? '').split(', trying again')[0];
  return `${failed}, trying again at ${begins.toLocaleTimeString()}: ${reason ?? ''}`;
}

/** @param {StepState} step */
function origin({ reused, cached }) {
  if (reused) return REUSED;
  return cached ? CACHED : null;
}
