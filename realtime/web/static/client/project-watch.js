/**
 * The newest runs of a project, kept as they are: what `client.watchProject` gives. `run-client.d.ts` has the contract.
 *
 * @typedef {import('../run-client.js').ProjectWatch} Contract
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
import { invalidId, refusalByStatus } from './endings.js';
import { RequestError } from './requests.js';
import { summaryOf } from './run-summary.js';
import { isUuid } from './uuid.js';

const MOST_RUNS = 20;
const ASK_EVERY_MS = 5_000;

/** @implements {Contract} */
export class ProjectWatch extends EventTarget {
  #line;
  #requests;
  #env;
  #onClose;
  #runs;
  /** @type {?object} the loop that asks; null: none, the server tells */
  #asking = null;
  /** @type {?number} */
  #timer = null;
  #closed = false;

  /**
   * @param {string} projectId
   * @param {readonly RunSummary[]} runs what is known already
   * @param {import('./line.js').Line} line
   * @param {import('./requests.js').Requests} requests
   * @param {import('./environment.js').Environment} env
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
    if (isUuid(projectId)) line.followProject(this.#viewer);
    else queueMicrotask(() => this.#end(invalidId('project', projectId)));
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

  /** @type {ProjectViewer} */
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

  /** Nobody looks at a page that is hidden. @param {object} loop */
  async #ask(loop) {
    if (!this.#env.hidden()) await this.#askNow(loop);
    if (this.#asking === loop) this.#timer = this.#env.setTimeout(() => this.#ask(loop), ASK_EVERY_MS);
  }

  /** @param {object} loop */
  async #askNow(loop) {
    try {
      const path = `/api/v1/projects/${encodeURIComponent(this.projectId)}/agent-runs?limit=${MOST_RUNS}`;
      const { runs } = await this.#requests.get(path);
      if (this.#asking === loop) this.#become(runs.map(summaryOf));
    } catch (error) {
      if (!(error instanceof RequestError) || this.#asking !== loop) return;
      const { status, code, message } = error;
      const ending = refusalByStatus(status);
      if (ending !== null) this.#end({ ...ending, code, message });
    }
  }

  /** @param {RunSummary} run */
  #with(run) {
    const known = this.#runs.some(({ id }) => id === run.id);
    return known ? this.#runs.map((other) => (other.id === run.id ? run : other)) : [run, ...this.#runs];
  }

  /** @param {readonly RunSummary[]} runs */
  #become(runs) {
    const next = newest(runs);
    if (JSON.stringify(next) === JSON.stringify(this.#runs)) return;
    this.#runs = next;
    this.#emit('runs', next);
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#closed) return;
    this.close();
    this.#emit('ended', ending);
  }

  /** @param {string} type @param {unknown} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {readonly RunSummary[]} runs */
function newest(runs) {
  /** @param {RunSummary} run */
  const when = ({ created_at }) => Date.parse(created_at);
  return [...runs].sort((a, b) => when(b) - when(a)).slice(0, MOST_RUNS);
}
