/**
 * What can be done with a run: cancel it, or do it again in a new one. Dispatches `retried` with the new run; that a
 * run was cancelled is told by its events.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 * @typedef {import('../run-client.js').RunState} RunState
 */
import { hasEnded } from '../apply-event.js';
import { AskedAgain } from './asked-again.js';
import { part, setText } from '../elements/dom.js';
import { notice } from './notices.js';

const CONFIRM_MS = 5_000;
const WORDS = { idle: 'Cancel run', sure: 'Really cancel?', asked: 'Cancelling…' };
const RETRIED = new Set(['failed', 'cancelled']);

export class RunActions extends EventTarget {
  #cancel;
  #retry;
  #client;
  #may;
  #state = null;
  #cancelling = 'idle';
  #confirmation = null;
  #retrying = false;
  #retries = new AskedAgain();

  /**
   * @param {HTMLElement} root the run's section
   * @param {RunClient} client
   * @param {{may_start: boolean, may_cancel: boolean}} may
   */
  constructor(root, client, may) {
    super();
    this.#cancel = part(root, 'cancel');
    this.#retry = part(root, 'retry');
    this.#client = client;
    this.#may = may;
    this.#cancel.addEventListener('click', () => this.#clickCancel());
    this.#cancel.addEventListener('blur', () => this.#cancelling === 'sure' && this.#become('idle'));
    this.#retry.addEventListener('click', () => this.#doAgain());
  }

  /** @param {RunState} state */
  draw(state) {
    if (state.id !== this.#state?.id) this.#become('idle');
    this.#state = state;
    this.#cancel.hidden = !this.#may.may_cancel || hasEnded(state);
    this.#retry.hidden = !this.#may.may_start || !RETRIED.has(state.status);
    this.#retry.disabled = this.#retrying;
    this.#cancel.disabled = this.#cancelling === 'asked';
  }

  /** The first click asks, the second one does it. */
  #clickCancel() {
    if (this.#cancelling === 'sure') {
      this.#askToCancel();
    } else {
      this.#become('sure');
      this.#confirmation = setTimeout(() => this.#become('idle'), CONFIRM_MS);
    }
  }

  async #askToCancel() {
    const { id } = this.#state;
    this.#become('asked');
    try {
      await this.#client.cancel(id);
    } catch (error) {
      notice('action', `The run was not cancelled. ${error.message}`);
      if (this.#state.id === id) this.#become('idle');
    }
  }

  #become(cancelling) {
    clearTimeout(this.#confirmation);
    this.#cancelling = cancelling;
    this.#cancel.disabled = cancelling === 'asked';
    setText(this.#cancel, WORDS[cancelling]);
  }

  async #doAgain() {
    const { id } = this.#state;
    this.#retrying = true;
    this.#retry.disabled = true;
    try {
      const run = await this.#retries.send(id, (newRunId) => this.#client.retry(id, { newRunId }));
      this.dispatchEvent(new CustomEvent('retried', { detail: run }));
    } catch (error) {
      notice('action', `The run was not started again. ${error.message}`);
    } finally {
      this.#retrying = false;
      this.#retry.disabled = false;
    }
  }
}
