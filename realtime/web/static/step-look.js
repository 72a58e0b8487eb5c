/**
 * How a step looks on its card. Pure.
 *
 * @typedef {import('./apply-event.js').StepState} StepState
 *
 * @typedef {object} StepLook
 * @property {'queued'|'running'|'complete'|'error'} status
 * @property {string} chip what stands for the status, where that says too little; else empty
 * @property {boolean} paused nothing moves at the moment
 * @property {string} label what it does; shown while it runs
 * @property {string} message what came of it
 */

const STATUS = { queued: 'queued', running: 'running', completed: 'complete', failed: 'error', cancelled: 'error' };
const REUSED = 'Kept from the run before.';
const CACHED = 'Answered from the cache.';

/**
 * @param {StepState} step
 * @returns {StepLook}
 */
export function lookOf(step) {
  const status = STATUS[step.status] ?? 'queued';
  const chip = chipOf(step);
  return {
    status,
    chip,
    paused: status === 'running' && chip !== '',
    label: step.retry_at ? waiting(step) : (step.progress_label ?? ''),
    message: status === 'complete' ? origin(step) : (step.error_message ?? ''),
  };
}

function chipOf(step) {
  if (step.status === 'cancelled') return 'Cancelled';
  if (step.retry_at) return 'Waiting';
  return step.stalled ? 'Stalled' : '';
}

function waiting({ progress_label: label, retry_at: at, reason }) {
  const begins = new Date(at);
  const time = Number.isNaN(begins.getTime()) ? '' : ` (at ${begins.toLocaleTimeString()})`;
  return `${label ?? ''}${time}: ${reason ?? ''}`;
}

function origin({ reused, cached }) {
  if (reused) return REUSED;
  return cached ? CACHED : '';
}
