/**
 * A run for those who may see it but not watch it live: asked for every few seconds until it has ended, and not while
 * nobody looks. Dispatches `state`, and `ended` once, as a watch does.
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
      return;
    }
    if (this.#timer === null || state.last_event_id < this.state.last_event_id) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
    if (hasEnded(state)) this.#end(FINISHED);
  }

  #end(ending) {
    if (this.#timer === null) return;
    this.close();
    this.dispatchEvent(new CustomEvent('ended', { detail: ending }));
  }
}
