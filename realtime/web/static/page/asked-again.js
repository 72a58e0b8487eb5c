/** A request that starts something once, however often it is sent: without an answer, asking again has the same id. */
/** @typedef {import('../run-client.js').RequestError} RequestError */
import { randomUuid } from '../client/uuid.js';

export class AskedAgain {
  /** @type {?{key: string, id: string}} */
  #unanswered = null;

  /**
   * What `ask` gives for an id: a fresh one, unless the last time the same was wanted and its outcome is not known.
   * @template Answer
   * @param {unknown} wanted compared as JSON
   * @param {(id: string) => Promise<Answer>} ask rejects with a `RequestError`
   * @returns {Promise<Answer>}
   */
  async send(wanted, ask) {
    const key = JSON.stringify(wanted);
    const id = this.#unanswered?.key === key ? this.#unanswered.id : randomUuid();
    this.#unanswered = null;
    try {
      return await ask(id);
    } catch (error) {
      if (/** @type {RequestError} */ (error).unknownOutcome) this.#unanswered = { key, id };
      throw error;
    }
  }
}
