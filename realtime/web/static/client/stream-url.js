/**
 * The address of a run's SSE stream.
 * @param {import('./line.js').Server} server
 * @param {string} runId
 * @returns {URL}
 */
export function streamUrl(server, runId) {
  return new URL(`/api/v1/events/agent-runs/${encodeURIComponent(runId)}`, server.url);
}
