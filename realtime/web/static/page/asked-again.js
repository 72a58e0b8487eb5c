/**
 * A request that starts a run once, however often it is sent: without an answer, asking again has the same id. Where
 * the run of that id turns out to have ended, another is what is wanted.
 *
 * @typedef {import('../run-client.js').RequestError} RequestError
 * @typedef {import('../run-client.js').RunState} RunState
 *
 * @typedef {object} Sent
 * @property {string} key what was wanted, as JSON
 * @property {string} id
 */
import { hasEnded } from '../apply-event.js';
import { randomUuid } from '../client/uuid.js';

export class AskedAgain {
  /** @type {?Sent} */
  #unanswered = null;

  /**
   * What `ask` gives for an id: a fresh one, unless the last time the same was wanted and its outcome is not known.
   * @param {unknown} wanted compared as JSON
   * @param {(id: string) => Promise<RunState>} ask rejects with a `RequestError`
   */
  async send(wanted, ask) {
    const key = JSON.stringify(wanted);
    const before = this.#unanswered;
    if (before?.key === key) {
      const run = await this.#sendOnce(before, ask);
      if (!hasEnded(run)) return run;
    }
    return this.#sendOnce({ key, id: randomUuid() }, ask);
  }

  /** @param {Sent} sent @param {(id: string) => Promise<RunState>} ask */
  async #sendOnce(sent, ask) {
    this.#unanswered = null;
    try {
      return await ask(sent.id);
    } catch (error) {
      if (/** @type {RequestError} */ (error).unknownOutcome) this.#unanswered = sent;
      throw error;
    }
  }
}
