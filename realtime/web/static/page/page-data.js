/**
 * What the server gives the scripts of the page to begin with: `PageData` in realtime/endpoints/page_data.py.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('../run-client.js').RunSummary} RunSummary
 * @typedef {import('./timeline-fold.js').Timeline} Timeline
 *
 * @typedef {Required<RunState>} Run as REST gives it, with all that its events do not tell
 *
 * @typedef {object} PageData
 * @property {string} project_id
 * @property {string} project_name
 * @property {boolean} may_stream
 * @property {boolean} may_start
 * @property {boolean} may_cancel
 * @property {readonly {agent_type: string, name: string}[]} agents
 * @property {?Run} run that the page shows
 * @property {Timeline} timeline as of the same event
 * @property {readonly RunSummary[]} runs
 * @property {?number} price_per_mtok null: not known
 * @property {string} currency
 */
import { found } from '../elements/dom.js';

/** @returns {PageData} */
export function pageData() {
  return JSON.parse(found(document, '#page-data').textContent ?? '');
}
