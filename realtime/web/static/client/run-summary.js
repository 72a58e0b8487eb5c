/**
 * One line of a list of runs, from a run. Pure; the rules are those of `summarise` in realtime/snapshot.py.
 *
 * @param {import('../run-client.js').RunState} run as REST gives it
 * @returns {import('../run-client.js').RunSummary}
 */
export function summaryOf(run) {
  const { steps } = run;
  const progress = steps.reduce((sum, { progress_pct }) => sum + progress_pct, 0);
  return {
    id: run.id,
    project_id: run.project_id,
    status: run.status,
    pipeline_mode: run.pipeline_mode,
    agents_selected: run.agents_selected,
    progress_pct: Math.floor(progress / Math.max(1, steps.length)),
    steps_completed: steps.filter(({ status }) => status === 'completed').length,
    steps_total: steps.length,
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
