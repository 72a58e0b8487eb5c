/**
 * `<agent-run run-id="…">`: a run, live, in any page: its cards, how far it is, how the connection is, how it ended.
 *
 * - `run-id`: which run; without one nothing is followed.
 * - `url`: the server, by default the page's own origin. All elements of one server share one client, made for them
 *   and closed when the last of them leaves the document.
 * - `client` (a property): a `RunClient` to use instead, for pages that need a token; it stays the page's to close.
 * - It sets `status` (of the run), `progress` (0 to 100) and `connection` (as `Connection.state`) on itself.
 * - Events, bubbling and composed: `run-state` with the run after each change, `run-ended` with the `Ending`.
 *
 * It draws once per animation frame, however much happened, and in a hidden tab now and then. What can be styled is listed in agent-run.css.
 *
 * @typedef {import('./run-client.js').RunClient} RunClient
 * @typedef {import('./run-client.js').RunState} RunState
 * @typedef {import('./run-client.js').RunWatch} RunWatch
 * @typedef {import('./run-client.js').Ending} Ending
 * @typedef {import('./elements/shared-clients.js').Lease} Lease
 */
import './agent-status-card.js';
import { overall } from './client/overall.js';
import { PageElement, define } from './elements/custom-element.js';
import { setAttributes } from './elements/dom.js';
import { Drawing } from './elements/drawing.js';
import { RunPicture } from './elements/run-picture.js';
import { leaseClient } from './elements/shared-clients.js';
import { fetchedSheet } from './elements/sheet.js';

const STYLE = new URL('./agent-run.css', import.meta.url);
const ACCESSORS = ['client', 'runId', 'url'];

export class AgentRun extends PageElement {
  static observedAttributes = ['run-id', 'url'];
  /** @type {?RunClient} */
  #client = null;
  /** @type {?Lease} */
  #lease = null;
  /** @type {?RunWatch} */
  #watch = null;
  /** @type {?Ending} why there is no watch, where one was wanted */
  #refusal = null;
  /** @type {?RunPicture} */
  #picture = null;
  #drawing = new Drawing(() => this.#draw());
  #changing = false;

  /** @returns {?RunClient} the one it was given */
  get client() {
    return this.#client;
  }

  set client(client) {
    if ((client ?? null) === this.#client) return;
    this.#client = client ?? null;
    this.#change();
  }

  get runId() {
    return this.getAttribute('run-id');
  }

  set runId(runId) {
    setAttributes(this, { 'run-id': runId ?? null });
  }

  get url() {
    return this.getAttribute('url');
  }

  set url(url) {
    setAttributes(this, { url: url ?? null });
  }

  connectedCallback() {
    this.#adoptEarlyProperties();
    this.#picture ??= this.#newPicture();
    if (this.#watch === null) this.#change();
  }

  /** Frameworks take nodes out to put them elsewhere: what is back within the same task has never left. */
  disconnectedCallback() {
    queueMicrotask(() => this.isConnected || this.#stop());
  }

  /** @param {string} _name @param {?string} before @param {?string} after */
  attributeChangedCallback(_name, before, after) {
    if (before !== after) this.#change();
  }

  /** What was set before this class was known stands in the way of the accessors. */
  #adoptEarlyProperties() {
    for (const property of ACCESSORS.filter((name) => Object.hasOwn(this, name))) {
      const value = Reflect.get(this, property);
      Reflect.deleteProperty(this, property);
      Reflect.set(this, property, value);
    }
  }

  #newPicture() {
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [fetchedSheet(STYLE)];
    return new RunPicture(root);
  }

  /** However much is changed in one task, following begins once. */
  #change() {
    if (this.#changing) return;
    this.#changing = true;
    queueMicrotask(() => {
      this.#changing = false;
      if (this.isConnected) this.#followAnew();
    });
  }

  /** What was followed before is let go of last: a client without a watch in between would close its connection. */
  #followAnew() {
    const [watch, lease] = [this.#watch, this.#lease];
    this.#watch = this.#lease = this.#refusal = null;
    try {
      if (this.runId) this.#follow(this.runId);
    } catch (error) {
      this.#refusal = { reason: 'gone', code: '', message: /** @type {Error} */ (error).message };
    }
    watch?.close();
    lease?.release();
    this.#drawing.ask();
  }

  /** @param {string} runId */
  #follow(runId) {
    const watch = this.#anyClient().watch(runId);
    watch.addEventListener('state', ({ detail }) => this.#tell('run-state', detail));
    watch.addEventListener('connection', () => this.#drawing.ask());
    watch.addEventListener('ended', ({ detail }) => this.#tell('run-ended', detail));
    this.#watch = watch;
  }

  /** The one it was given, else one that it shares. */
  #anyClient() {
    if (this.#client !== null) return this.#client;
    this.#lease = leaseClient(this.url ?? '/');
    return this.#lease.client;
  }

  #stop() {
    this.#watch?.close();
    this.#lease?.release();
    this.#watch = this.#lease = null;
    this.#drawing.ask();
  }

  /** @param {string} type @param {RunState|Ending} detail */
  #tell(type, detail) {
    this.#drawing.ask();
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  #draw() {
    const { state, connection, ending } = this.#watch ?? { state: null, connection: null, ending: this.#refusal };
    const known = state !== null && state.last_event_id > 0 ? state : null;
    this.#picture?.draw(known, connection, ending);
    setAttributes(this, {
      status: known && known.status,
      progress: known && String(overall(known).percent),
      connection: connection && connection.state,
    });
  }
}

define('agent-run', AgentRun, STYLE);
