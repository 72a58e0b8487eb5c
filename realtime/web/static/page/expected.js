/** How long runs like one have taken in this project. */
import { api } from './api.js';
import { expectedText } from '../elements/facts.js';

/**
 * For people, `usually 2–4 min`; empty where too few are known, or the server does not answer: it is only a hint.
 * @param {string} projectId
 * @param {readonly string[]} agents
 * @param {string} mode
 * @returns {Promise<string>}
 */
export async function expectedOf(projectId, agents, mode) {
  const query = new URLSearchParams({ agents_selected: agents.join(','), pipeline_mode: mode });
  try {
    const { low_s: low, high_s: high } = await api.get(`/api/v1/projects/${projectId}/run-durations?${query}`);
    return low === null ? '' : expectedText(low, high);
  } catch {
    return '';
  }
}
