/**
 * A run for those who may see it but not watch it live: asked for every few seconds until it has ended, more seldom
 * while nobody looks, and at once when somebody does again. Dispatches `state`, and `ended` once, as a watch does; and
 * `late` with the time (milliseconds since 1970, the browser's clock) as of which the run is known while no answer
 * comes, then with null once one has come.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('../run-client.js').Ending} Ending
 * @typedef {import('../run-client.js').RequestError} RequestError
 *
 * @typedef {{state: RunState, late: ?number, ended: Ending}} Told
 * @typedef {import('./telling.js').Telling<Told>} Telling
 */
import { hasEnded } from '../apply-event.js';
import { FINISHED, refusalByStatus } from '../client/endings.js';

const EVERY_MS = 5_000;
const HIDDEN_EVERY_MS = 30_000;

export class RefreshedRun extends /** @type {Telling} */ (EventTarget) {
  #client;
  /** @type {number|undefined} undefined: it is closed */
  #timer;
  #knownAt = Date.now();
  #seenOrHidden = () => {
    this.#schedule();
    if (!document.hidden) this.#refresh();
  };
  /** It has none: it asks. */
  connection = null;

  /**
   * @param {RunClient} client
   * @param {RunState} state what is known of it
   */
  constructor(client, state) {
    super();
    this.#client = client;
    this.state = state;
    document.addEventListener('visibilitychange', this.#seenOrHidden);
    this.#schedule();
  }

  close() {
    document.removeEventListener('visibilitychange', this.#seenOrHidden);
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #schedule() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#refresh(), document.hidden ? HIDDEN_EVERY_MS : EVERY_MS);
  }

  async #refresh() {
    /** @type {RunState} */
    let state;
    try {
      state = await this.#client.snapshot(this.state.id);
    } catch (error) {
      this.#failed(/** @type {RequestError} */ (error));
      return;
    }
    this.#knownAt = Date.now();
    this.#tell('late', null);
    if (this.#timer === undefined || state.last_event_id < this.state.last_event_id) return;
    this.state = state;
    this.#tell('state', state);
    if (hasEnded(state)) this.#end(FINISHED);
  }

  /**
   * Some answers are for good; without one of them the run is asked for again.
   * @param {RequestError} error
   */
  #failed({ status, code, message }) {
    const ending = refusalByStatus(status);
    if (ending === null) this.#tell('late', this.#knownAt);
    else this.#end({ ...ending, code, message });
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#timer === undefined) return;
    this.#tell('ended', ending);
    this.close();
  }

  /**
   * Nothing once it is closed.
   * @template {keyof Told} Type
   * @param {Type} type
   * @param {Told[Type]} detail
   */
  #tell(type, detail) {
    if (this.#timer !== undefined) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
