/**
 * What can be done with a run: cancel it, or do it again in a new one. Dispatches `retried` with the new run; that a
 * run was cancelled is told by its events.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 * @typedef {import('../run-client.js').RunState} RunState
 */
import { hasEnded } from '../apply-event.js';
import { AskedAgain } from './asked-again.js';
import { part, setAttributes, setBusy, setText } from '../elements/dom.js';
import { setHidden } from './focus.js';
import { notice } from './notices.js';

/** What follows the first click sooner belongs to it: the rest of a double click or tap, a key that bounces. */
const ONE_CLICK_MS = 500;
const CONFIRM_MS = 5_000;
const WORDS = { idle: 'Cancel run', asks: 'Really cancel?', confirms: 'Really cancel?', asked: 'Cancelling…' };
const CANCELLED_UNKNOWN = 'It is not known whether the run was cancelled; try again.';
const RETRIED_UNKNOWN = 'It is not known whether the run was started again; try again.';
const RETRIED = new Set(['failed', 'cancelled']);

export class RunActions extends EventTarget {
  #cancel;
  #retry;
  #client;
  #may;
  #state = null;
  /** @type {'idle'|'asks'|'confirms'|'asked'} `confirms`: the next click cancels the run */
  #cancelling = 'idle';
  #next = null;
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
    this.#cancel.addEventListener('click', (click) => this.#clickCancel(click));
    this.#cancel.addEventListener('keydown', (key) => key.repeat && key.key === 'Enter' && key.preventDefault());
    this.#cancel.addEventListener('blur', () => this.#cancelling !== 'asked' && this.#become('idle'));
    this.#retry.addEventListener('click', () => this.#retrying || this.#doAgain());
    this.#cancel.disabled = this.#retry.disabled = false;
  }

  /** @param {RunState} state */
  draw(state) {
    if (state.id !== this.#state?.id) this.#become('idle');
    this.#state = state;
    setHidden(this.#cancel, !this.#may.may_cancel || hasEnded(state));
    setHidden(this.#retry, !this.#may.may_start || !RETRIED.has(state.status));
  }

  /** The first click asks, the second one does it. */
  #clickCancel({ detail: clicks }) {
    if (this.#cancelling === 'idle') {
      this.#become('asks');
      this.#next = setTimeout(() => this.#confirm(), ONE_CLICK_MS);
    } else if (this.#cancelling === 'confirms' && clicks <= 1) {
      this.#askToCancel();
    }
  }

  #confirm() {
    this.#become('confirms');
    this.#next = setTimeout(() => this.#become('idle'), CONFIRM_MS);
  }

  async #askToCancel() {
    const { id } = this.#state;
    this.#become('asked');
    try {
      await this.#client.cancel(id);
    } catch (error) {
      notice('action', error.unknownOutcome ? CANCELLED_UNKNOWN : `The run was not cancelled. ${error.message}`);
      if (this.#state.id === id) this.#become('idle');
    }
  }

  #become(cancelling) {
    clearTimeout(this.#next);
    this.#cancelling = cancelling;
    setBusy(this.#cancel, cancelling === 'asked');
    setAttributes(this.#cancel, { 'data-confirms': cancelling === 'confirms' ? '' : null });
    setText(this.#cancel, WORDS[cancelling]);
  }

  async #doAgain() {
    const { id } = this.#state;
    this.#becomeRetrying(true);
    try {
      const run = await this.#retries.send(id, (newRunId) => this.#client.retry(id, { newRunId }));
      this.dispatchEvent(new CustomEvent('retried', { detail: run }));
    } catch (error) {
      notice('action', error.unknownOutcome ? RETRIED_UNKNOWN : `The run was not started again. ${error.message}`);
    } finally {
      this.#becomeRetrying(false);
    }
  }

  #becomeRetrying(retrying) {
    this.#retrying = retrying;
    setBusy(this.#retry, retrying);
  }
}
