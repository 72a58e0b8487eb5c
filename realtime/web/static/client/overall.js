/**
 * How far a run is: steps completed, of how many, and the floor of the mean of their progress; 0 % without steps. Pure.
 * @param {Pick<import('../run-client.js').RunState, 'steps'>} run
 * @returns {{done: number, total: number, percent: number}}
 */
export function overall({ steps }) {
  const total = steps.length;
  const done = steps.filter(({ status }) => status === 'completed').length;
  const sum = steps.reduce((progress, step) => progress + step.progress_pct, 0);
  return { done, total, percent: Math.floor(sum / Math.max(1, total)) };
}
