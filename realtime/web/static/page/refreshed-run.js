/**
 * A run for those who may see it but not watch it live: asked for every few seconds until it has ended, and not while
 * nobody looks. Dispatches `state`, and `ended` once, as a watch does; and `late` with the time (milliseconds since 1970,
 * the browser's clock) as of which the run is known while no answer comes, then with null once one has come.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 * @typedef {import('../run-client.js').RunState} RunState
 */
import { hasEnded } from '../apply-event.js';

const EVERY_MS = 5_000;
/** The answers that say so for good; without any other answer the run is asked for again. */
const NO = new Map([[401, 'forbidden'], [403, 'forbidden'], [404, 'gone']]);
const FINISHED = { reason: 'finished', code: '', message: '' };

export class RefreshedRun extends EventTarget {
  #client;
  #timer;
  #knownAt = Date.now();

  /**
   * @param {RunClient} client
   * @param {RunState} state what is known of it
   */
  constructor(client, state) {
    super();
    this.#client = client;
    this.state = state;
    this.connection = { state: 'closed', transport: '' };
    this.#timer = setInterval(() => !document.hidden && this.#refresh(), EVERY_MS);
  }

  close() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  async #refresh() {
    let state;
    try {
      state = await this.#client.snapshot(this.state.id);
    } catch (error) {
      if (NO.has(error.status)) this.#end({ reason: NO.get(error.status), code: error.code, message: error.message });
      else this.#tell('late', this.#knownAt);
      return;
    }
    this.#knownAt = Date.now();
    this.#tell('late', null);
    if (this.#timer === null || state.last_event_id < this.state.last_event_id) return;
    this.state = state;
    this.#tell('state', state);
    if (hasEnded(state)) this.#end(FINISHED);
  }

  #end(ending) {
    if (this.#timer === null) return;
    this.#tell('ended', ending);
    this.close();
  }

  /** Nothing once it is closed. */
  #tell(type, detail) {
    if (this.#timer !== null) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
