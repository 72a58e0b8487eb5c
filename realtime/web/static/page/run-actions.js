/**
 * What can be done with a run: cancel it, or do it again in a new one. Dispatches `retried` with the new run; that a
 * run was cancelled is told by its events.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('../run-client.js').RequestError} RequestError
 * @typedef {import('./telling.js').Telling<{retried: import('./page-data.js').Run}>} Telling
 *
 * @typedef {'idle'|'asks'|'confirms'|'asked'} Cancelling `confirms`: the next click cancels the run
 */
import { hasEnded } from '../apply-event.js';
import { AskedAgain } from './asked-again.js';
import { part, setAttributes, setBusy, setText } from '../elements/dom.js';
import { setHidden } from './focus.js';
import { notice, refusalWords } from './notices.js';

/** What follows the first click sooner belongs to it: the rest of a double click or tap, a key that bounces. */
const ONE_CLICK_MS = 500;
const CONFIRM_MS = 5_000;
const WORDS = { idle: 'Cancel run', asks: 'Really cancel?', confirms: 'Really cancel?', asked: 'Cancelling…' };
const CANCELLED_UNKNOWN = 'It is not known whether the run was cancelled; try again.';
const RETRIED_UNKNOWN = 'It is not known whether the run was started again; try again.';
const RETRIED = new Set(['failed', 'cancelled']);

export class RunActions extends /** @type {Telling} */ (EventTarget) {
  /** @type {HTMLButtonElement} */
  #cancel;
  /** @type {HTMLButtonElement} */
  #retry;
  #client;
  #may;
  /** The one that is drawn. */
  #runId = '';
  /** @type {Cancelling} */
  #cancelling = 'idle';
  /** @type {number|undefined} */
  #next;
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
    if (state.id !== this.#runId) this.#become('idle');
    this.#runId = state.id;
    setHidden(this.#cancel, !this.#may.may_cancel || hasEnded(state));
    setHidden(this.#retry, !this.#may.may_start || !RETRIED.has(state.status));
  }

  /**
   * The first click asks, the second one does it.
   * @param {MouseEvent} click
   */
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
    const id = this.#runId;
    this.#become('asked');
    try {
      await this.#client.cancel(id);
    } catch (error) {
      tellFailure(error, CANCELLED_UNKNOWN, 'The run was not cancelled.');
      if (this.#runId === id) this.#become('idle');
    }
  }

  /** @param {Cancelling} cancelling */
  #become(cancelling) {
    clearTimeout(this.#next);
    this.#cancelling = cancelling;
    setBusy(this.#cancel, cancelling === 'asked');
    setAttributes(this.#cancel, { 'data-confirms': cancelling === 'confirms' ? '' : null });
    setText(this.#cancel, WORDS[cancelling]);
  }

  async #doAgain() {
    const id = this.#runId;
    this.#becomeRetrying(true);
    try {
      const run = await this.#retries.send(id, (newRunId) => this.#client.retry(id, { newRunId }));
      this.dispatchEvent(new CustomEvent('retried', { detail: run }));
    } catch (error) {
      tellFailure(error, RETRIED_UNKNOWN, 'The run was not started again.');
    } finally {
      this.#becomeRetrying(false);
    }
  }

  /** @param {boolean} retrying */
  #becomeRetrying(retrying) {
    this.#retrying = retrying;
    setBusy(this.#retry, retrying);
  }
}

/**
 * @param {unknown} error
 * @param {string} unknown said where it may have been obeyed all the same
 * @param {string} failed said where it was not
 */
function tellFailure(error, unknown, failed) {
  const refused = /** @type {RequestError} */ (error);
  if (refused.unknownOutcome) notice('action', unknown);
  else notice('action', failed, ' ', ...refusalWords(refused));
}
