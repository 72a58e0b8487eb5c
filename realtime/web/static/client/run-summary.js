import { overall } from './overall.js';

/**
 * One line of a list of runs, from a run. Pure; the rules are those of `summarise` in realtime/snapshot.py.
 *
 * @param {Required<import('../run-client.js').RunState>} run as REST gives it
 * @returns {import('../run-client.js').RunSummary}
 */
export function summaryOf(run) {
  const { done, total, percent } = overall(run);
  return {
    id: run.id,
    project_id: run.project_id,
    status: run.status,
    pipeline_mode: run.pipeline_mode,
    agents_selected: run.agents_selected,
    progress_pct: percent,
    steps_completed: done,
    steps_total: total,
    last_event_id: run.last_event_id,
    total_tokens: run.total_tokens,
    error_code: run.error_code,
    error_message: run.error_message,
    started_by: run.started_by,
    created_at: run.created_at,
    started_at: run.started_at,
    completed_at: run.completed_at,
    retry_of: run.retry_of,
  };
}
