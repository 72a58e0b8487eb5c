/** A request that starts something once, however often it is sent: without an answer, asking again has the same id. */
import { randomUuid } from '../client/uuid.js';

export class AskedAgain {
  #unanswered = null;

  /**
   * What `ask` gives for an id: a fresh one, unless the last time the same was wanted and its outcome is not known.
   * @template Answer
   * @param {any} wanted compared as JSON
   * @param {(id: string) => Promise<Answer>} ask rejects with an error that says whether its outcome is unknown
   * @returns {Promise<Answer>}
   */
  async send(wanted, ask) {
    const key = JSON.stringify(wanted);
    const id = this.#unanswered?.key === key ? this.#unanswered.id : randomUuid();
    this.#unanswered = null;
    try {
      return await ask(id);
    } catch (error) {
      if (error.unknownOutcome) this.#unanswered = { key, id };
      throw error;
    }
  }
}
