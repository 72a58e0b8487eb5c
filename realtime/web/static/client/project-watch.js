/**
 * The newest runs of a project, kept as they are: what `client.watchProject` gives. `run-client.d.ts` has the contract.
 *
 * @typedef {import('../run-client.js').RunSummary} RunSummary
 * @typedef {import('../run-client.js').Ending} Ending
 *
 * @typedef {object} ProjectViewer one who lists the runs of a project, as the line sees it
 * @property {string} projectId
 * @property {(runs: RunSummary[]) => void} told these are they; each change follows
 * @property {(run: RunSummary) => void} changed
 * @property {() => void} unavailable nobody will tell; ask
 * @property {(ending: Ending) => void} refused
 */
import { summaryOf } from './run-summary.js';

const MOST_RUNS = 20;
const ASK_EVERY_MS = 5_000;
const ENDINGS = { 401: 'forbidden', 403: 'forbidden', 400: 'gone', 404: 'gone' };

export class ProjectWatch extends EventTarget {
  #line;
  #requests;
  #env;
  #onClose;
  #runs;
  /** The loop that asks; null: none, the server tells. */
  #asking = null;
  #timer = null;
  #closed = false;

  /**
   * @param {string} projectId
   * @param {readonly RunSummary[]} runs what is known already
   * @param {import('./line.js').Line} line
   * @param {import('./requests.js').Requests} requests
   * @param {any} env
   * @param {(watch: ProjectWatch) => void} onClose
   */
  constructor(projectId, runs, line, requests, env, onClose) {
    super();
    this.#viewer.projectId = projectId;
    this.#runs = newest(runs);
    this.#line = line;
    this.#requests = requests;
    this.#env = env;
    this.#onClose = onClose;
    line.followProject(this.#viewer);
  }

  get projectId() {
    return this.#viewer.projectId;
  }

  get runs() {
    return this.#runs;
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopAsking();
    this.#line.leaveProject(this.#viewer);
    this.#onClose(this);
  }

  #viewer = {
    projectId: '',
    told: (runs) => {
      this.#stopAsking();
      this.#become(runs);
    },
    changed: (run) => this.#become(this.#with(run)),
    unavailable: () => this.#startAsking(),
    refused: (ending) => this.#end(ending),
  };

  #startAsking() {
    if (this.#asking !== null) return;
    this.#asking = {};
    this.#ask(this.#asking);
  }

  #stopAsking() {
    this.#asking = null;
    this.#env.clearTimeout(this.#timer);
  }

  /** Nobody looks at a page that is hidden. */
  async #ask(loop) {
    if (!this.#env.hidden()) await this.#askNow(loop);
    if (this.#asking === loop) this.#timer = this.#env.setTimeout(() => this.#ask(loop), ASK_EVERY_MS);
  }

  async #askNow(loop) {
    try {
      const path = `/api/v1/projects/${encodeURIComponent(this.projectId)}/agent-runs?limit=${MOST_RUNS}`;
      const { runs } = await this.#requests.get(path);
      if (this.#asking === loop) this.#become(runs.map(summaryOf));
    } catch (error) {
      const reason = ENDINGS[error.status];
      if (reason === undefined || this.#asking !== loop) return;
      this.#end({ reason, code: error.code, message: error.message });
    }
  }

  #with(run) {
    const known = this.#runs.some(({ id }) => id === run.id);
    return known ? this.#runs.map((other) => (other.id === run.id ? run : other)) : [run, ...this.#runs];
  }

  #become(runs) {
    const next = newest(runs);
    if (JSON.stringify(next) === JSON.stringify(this.#runs)) return;
    this.#runs = next;
    this.#emit('runs', next);
  }

  #end(ending) {
    if (this.#closed) return;
    this.close();
    this.#emit('ended', ending);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function newest(runs) {
  const when = ({ created_at }) => Date.parse(created_at);
  return [...runs].sort((a, b) => when(b) - when(a)).slice(0, MOST_RUNS);
}
