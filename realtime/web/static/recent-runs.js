/** The project's newest runs, each a link to its view. */
import { request } from './api.js';

const LIMIT = 10;
const STATUS = {
  queued: 'Queued', running: 'Running', completed: 'Completed', failed: 'Failed', cancelled: 'Cancelled',
};

export class RecentRuns {
  #list;
  #empty;
  #projectId;
  #names;

  /**
   * @param {HTMLElement} root the runs' section
   * @param {string} projectId
   * @param {Object<string, string>} names of the agents, by type
   */
  constructor(root, projectId, names) {
    this.#list = root.querySelector('[data-part="list"]');
    this.#empty = root.querySelector('[data-part="empty"]');
    this.#projectId = projectId;
    this.#names = names;
  }

  /** Show what there is now; what was shown stays where the server does not answer. */
  async refresh(currentId = null) {
    let runs;
    try {
      ({ runs } = await request(`/api/v1/projects/${this.#projectId}/agent-runs?limit=${LIMIT}`));
    } catch {
      return;
    }
    this.#list.replaceChildren(...runs.map((run) => this.#row(run, currentId)));
    this.#empty.hidden = runs.length > 0;
  }

  #row(run, currentId) {
    const link = document.createElement('a');
    link.href = `/projects/${this.#projectId}/runs/${run.id}`;
    if (run.id === currentId) link.setAttribute('aria-current', 'true');
    const title = document.createElement('span');
    title.className = 'path';
    title.textContent = run.agents_selected.map((agent) => this.#names[agent] ?? agent).join(', ');
    const facts = document.createElement('span');
    facts.className = 'facts';
    facts.append(when(run.created_at), ` · ${run.id.slice(0, 8)}`);
    const status = document.createElement('span');
    status.className = 'chip';
    status.dataset.status = run.status;
    status.textContent = STATUS[run.status] ?? run.status;
    const item = document.createElement('li');
    link.append(title, facts, status);
    item.append(link);
    return item;
  }
}

function when(at) {
  const time = document.createElement('time');
  time.dateTime = at;
  time.textContent = new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  return time;
}
