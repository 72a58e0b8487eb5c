/**
 * Runs of a Runcast server, started, watched live and cancelled from any page: over WebSocket, over SSE where that is
 * all there is, across lost connections and server restarts, without a gap and without a repeated event.
 * `run-client.d.ts` beside this file is the contract.
 *
 *     import { RunClient } from '/static/run-client.js';
 *     const client = new RunClient();
 *     const run = await client.start(['qa_consultant']);
 *     for await (const event of client.watch(run.id)) console.log(event.id, event.type, event.payload);
 *
 * @typedef {import('./run-client.js').RunClient} Contract
 * @typedef {import('./run-client.js').RunState} RunState
 * @typedef {import('./run-client.js').RunSummary} RunSummary
 * @typedef {import('./run-client.js').RunClientOptions} RunClientOptions
 * @typedef {import('./run-client.js').RequestOptions} RequestOptions
 * @typedef {import('./run-client.js').StartOptions} StartOptions
 * @typedef {import('./run-client.js').WatchOptions} WatchOptions
 */
import { BROWSER } from './client/environment.js';
import { Line } from './client/line.js';
import { ProjectWatch } from './client/project-watch.js';
import { RequestError, Requests } from './client/requests.js';
import { RunWatch } from './client/run-watch.js';
import { ServerClock } from './client/server-clock.js';
import { randomUuid } from './client/uuid.js';

export { applyEvent, emptyState } from './apply-event.js';
export { WatchEndedError } from './client/endings.js';
export { RequestError };

const SERVER = /^https?:\/\/[^/@]+\/$/;
/** As the server has it, which counts characters and not their halves. */
const LONGEST_NAME = 64;

/** @implements {Contract} */
export class RunClient {
  #env;
  #server;
  #line;
  #requests;
  /** What pages ask for by themselves, every few seconds: nothing is done sooner because of it. */
  #reads;
  #projectId;
  /** @type {?Promise<string>} */
  #firstProject = null;
  /** @type {Set<RunWatch | ProjectWatch>} */
  #watches = new Set();

  /**
   * Nothing is opened before something is watched or asked for.
   * @param {RunClientOptions} [options]
   * @throws {TypeError} `url` is no server's, or needed; `clientId` is none
   */
  constructor({ url, token, projectId, clientId } = {}, environment = BROWSER) {
    this.#env = environment;
    this.#projectId = projectId;
    this.#server = {
      url: originOf(url, environment.address()),
      token,
      clientId: nameOf(clientId),
      clock: new ServerClock(environment),
      env: environment,
    };
    this.#line = new Line(this.#server);
    this.#requests = new Requests(this.#server, () => this.#line.answered());
    this.#reads = new Requests(this.#server, () => this.#line.reached());
  }

  get url() {
    return this.#server.url;
  }

  now() {
    return this.#server.clock.now();
  }

  /**
   * @param {string} runId
   * @param {WatchOptions} [options]
   * @returns {RunWatch}
   * @throws {TypeError}
   */
  watch(runId, options = {}) {
    const id = canonical(runId, 'run');
    this.#server.clock.recall(options.snapshot?.server_time);
    return this.#keep((onClose) => new RunWatch(id, options, this.#line, this.#env, onClose));
  }

  /**
   * @param {string} projectId
   * @param {{runs?: readonly RunSummary[]}} [options]
   * @returns {ProjectWatch}
   * @throws {TypeError}
   */
  watchProject(projectId, { runs = [] } = {}) {
    const id = canonical(projectId, 'project');
    return this.#keep((onClose) => new ProjectWatch(id, runs, this.#line, this.#reads, this.#server, onClose));
  }

  /**
   * @param {string} runId
   * @param {RequestOptions} [options]
   * @returns {Promise<RunState>}
   * @throws {RequestError}
   */
  async snapshot(runId, options) {
    return this.#recall(await this.#reads.get(await this.#path(options, runId)));
  }

  /**
   * @param {readonly string[]} agents
   * @param {StartOptions} [options]
   * @returns {Promise<RunState>}
   * @throws {RequestError}
   */
  async start(agents, { mode, runId = randomUuid(), useCache, projectId } = {}) {
    const wanted = { agents_selected: agents, pipeline_mode: mode, run_id: runId, use_cache: useCache };
    return this.#recall(await this.#requests.post(await this.#path({ projectId }), wanted));
  }

  /**
   * @param {string} runId
   * @param {RequestOptions} [options]
   * @returns {Promise<RunState>}
   * @throws {RequestError}
   */
  async cancel(runId, options) {
    return this.#recall(await this.#requests.post(await this.#path(options, runId, 'cancel')));
  }

  /**
   * @param {string} runId
   * @param {RequestOptions & {newRunId?: string}} [options]
   * @returns {Promise<RunState>}
   * @throws {RequestError}
   */
  async retry(runId, { newRunId = randomUuid(), projectId } = {}) {
    const path = await this.#path({ projectId }, runId, 'retry');
    return this.#recall(await this.#requests.post(path, { run_id: newRunId }));
  }

  close() {
    for (const watch of [...this.#watches]) watch.close();
  }

  /**
   * @template {RunWatch | ProjectWatch} Watch
   * @param {(onClose: (closed: Watch) => void) => Watch} make
   */
  #keep(make) {
    const watch = make((closed) => this.#watches.delete(closed));
    this.#watches.add(watch);
    return watch;
  }

  /** @param {RequestOptions} [options] @param {string[]} parts */
  async #path({ projectId = this.#projectId } = {}, ...parts) {
    const project = projectId ?? (await this.#first());
    return ['/api/v1/projects', project, 'agent-runs', ...parts]
      .map((part, at) => (at === 0 ? part : encodeURIComponent(part)))
      .join('/');
  }

  /** Asked once; again after a failure. */
  async #first() {
    this.#firstProject ??= this.#askFirst();
    try {
      return await this.#firstProject;
    } catch (error) {
      this.#firstProject = null;
      throw error;
    }
  }

  async #askFirst() {
    const { projects } = await this.#requests.get('/api/v1/projects');
    if (projects.length === 0) throw new RequestError(404, 'PROJECT_NOT_FOUND', 'You are a member of no project.');
    return projects[0].id;
  }

  /** @param {RunState} run as of an answer, which was on its way for a while */
  #recall(run) {
    this.#server.clock.recall(run?.server_time);
    return run;
  }
}

/** @param {unknown} id @param {'run'|'project'} what */
function canonical(id, what) {
  if (typeof id !== 'string') throw new TypeError(`expected the id of a ${what}, got ${id}`);
  return id.toLowerCase();
}

/** @param {unknown} clientId */
function nameOf(clientId) {
  if (clientId === undefined || clientId === null) return null;
  if (typeof clientId === 'string' && clientId !== '' && [...clientId].length <= LONGEST_NAME) return clientId;
  throw new TypeError(`expected clientId of 1 to ${LONGEST_NAME} characters, got ${clientId}`);
}

/**
 * A path would be lost: a server has an origin for itself.
 * @param {string | URL | undefined} url
 * @param {string | undefined} here
 */
function originOf(url, here) {
  const named = url ?? here;
  if (named === undefined) throw new TypeError("There is no page of a server; pass { url: 'https://…' }.");
  const wanted = url ?? '/';
  const address = URL.canParse(wanted, here) ? new URL(wanted, here) : null;
  if (address !== null && SERVER.test(address.href)) return address.origin;
  const expected = 'expected an address without a path, like https://runs.example.org';
  throw new TypeError(`There is no server at "${named}"; ${expected}.`);
}
