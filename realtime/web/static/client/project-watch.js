/**
 * The newest runs of a project, kept as they are: what `client.watchProject` gives. `run-client.d.ts` has the contract.
 *
 * @typedef {import('../run-client.js').ProjectWatch} Contract
 * @typedef {import('../run-client.js').Connection} Connection
 * @typedef {import('../run-client.js').RunSummary} RunSummary
 * @typedef {import('../run-client.js').Ending} Ending
 *
 * @typedef {object} ProjectViewer one who lists the runs of a project, as the line sees it
 * @property {string} projectId
 * @property {(runs: RunSummary[]) => void} told these are they; each change follows
 * @property {(run: RunSummary) => void} changed
 * @property {() => void} unavailable nobody will tell; ask
 * @property {(ending: Ending) => void} refused
 * @property {(outage: import('./link.js').Outage) => void} lost there is no connection; another will come
 */
import { ConnectionState } from './connection-state.js';
import { invalidId, refusalByStatus } from './endings.js';
import { RequestError } from './requests.js';
import { summaryOf } from './run-summary.js';
import { isUuid } from './uuid.js';

/** As many as the server has on its board. */
const MOST_RUNS = 20;
const ASK_EVERY_MS = 5_000;
const ASK_HIDDEN_EVERY_MS = 30_000;
const OFFLINE_AFTER_MISSES = 4;

/** @implements {Contract} */
export class ProjectWatch extends EventTarget {
  #line;
  #requests;
  #env;
  #clock;
  #onClose;
  #runs;
  /** @type {?object} the loop that asks; null: none, the server tells */
  #asking = null;
  /** @type {?number} */
  #timer = null;
  /** @type {?(() => void)} */
  #stopListening = null;
  /** How many times in a row the server was asked and did not answer. */
  #misses = 0;
  #connection;
  #shown;
  #closed = false;

  /**
   * @param {string} projectId
   * @param {readonly RunSummary[]} runs what is known already
   * @param {import('./line.js').Line} line
   * @param {import('./requests.js').Requests} requests
   * @param {import('./line.js').Server} server
   * @param {(watch: ProjectWatch) => void} onClose
   */
  constructor(projectId, runs, line, requests, { env, clock }, onClose) {
    super();
    this.#viewer.projectId = projectId;
    this.#runs = newest(runs);
    this.#line = line;
    this.#requests = requests;
    this.#env = env;
    this.#clock = clock;
    this.#onClose = onClose;
    this.#connection = new ConnectionState(env.now);
    if (isUuid(projectId)) line.followProject(this.#viewer);
    else queueMicrotask(() => this.#end(invalidId('project', projectId)));
    this.#shown = this.#mark;
  }

  get projectId() {
    return this.#viewer.projectId;
  }

  get runs() {
    return this.#runs;
  }

  /** @returns {Connection} */
  get connection() {
    return { ...this.#connection.known, transport: this.#line.transport, cursor: null, head: null };
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopAsking();
    this.#line.leaveProject(this.#viewer);
    this.#onClose(this);
    this.#connection.become('closed');
    this.#show();
  }

  /** @type {ProjectViewer} */
  #viewer = {
    projectId: '',
    told: (runs) => {
      this.#stopAsking();
      this.#hear(runs);
    },
    changed: (run) => this.#become(this.#with(run)),
    unavailable: () => this.#startAsking(),
    refused: (ending) => this.#end(ending),
    lost: (outage) => this.#asking === null && this.#lose(outage),
  };

  #startAsking() {
    if (this.#asking !== null) return;
    this.#stopListening = this.#env.listen('visibilitychange', () => this.#env.hidden() || this.#askAnew());
    this.#askAnew();
  }

  #stopAsking() {
    this.#asking = null;
    this.#env.clearTimeout(this.#timer);
    this.#stopListening?.();
    this.#stopListening = null;
  }

  #askAnew() {
    this.#env.clearTimeout(this.#timer);
    this.#asking = {};
    this.#ask(this.#asking);
  }

  /** More seldom while nobody looks. @param {object} loop */
  async #ask(loop) {
    await this.#askNow(loop);
    if (this.#asking !== loop) return;
    const waitMs = this.#env.hidden() ? ASK_HIDDEN_EVERY_MS : ASK_EVERY_MS;
    this.#timer = this.#env.setTimeout(() => this.#ask(loop), waitMs);
  }

  /** @param {object} loop */
  async #askNow(loop) {
    try {
      const path = `/api/v1/projects/${encodeURIComponent(this.projectId)}/agent-runs?limit=${MOST_RUNS}`;
      const { runs } = await this.#requests.get(path);
      this.#clock.recall(runs[0]?.server_time);
      if (this.#asking === loop) this.#hear(runs.map(summaryOf));
    } catch (error) {
      if (this.#asking === loop) this.#miss(error);
    }
  }

  /** @param {unknown} error what came instead of runs */
  #miss(error) {
    const ending = error instanceof RequestError ? refusalByStatus(error.status) : null;
    if (error instanceof RequestError && ending !== null) {
      this.#end({ ...ending, code: error.code, message: error.message });
      return;
    }
    this.#misses = error instanceof RequestError && error.status > 0 ? 0 : this.#misses + 1;
    this.#lose({ offline: !this.#env.online() || this.#misses > OFFLINE_AFTER_MISSES, draining: false });
  }

  /** @param {readonly RunSummary[]} runs as they are now */
  #hear(runs) {
    if (this.#closed) return;
    this.#misses = 0;
    this.#connection.become('live');
    this.#become(runs);
    this.#show();
  }

  /** @param {import('./link.js').Outage} outage */
  #lose(outage) {
    if (this.#closed) return;
    this.#connection.lose(outage);
    this.#show();
  }

  #show() {
    const mark = this.#mark;
    if (mark === this.#shown) return;
    this.#shown = mark;
    this.#emit('connection', this.connection);
  }

  /** What is worth telling when it changes. */
  get #mark() {
    const { state, transport, reason } = this.connection;
    return [state, transport, reason].join();
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
