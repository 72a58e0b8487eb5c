/**
 * How a run ended, told once: success by a toast and then its artifacts, anything else by a banner.
 *
 * @typedef {import('../run-client.js').Ending} Ending
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('./agent-names.js').AgentNames} AgentNames
 */
import { setText } from '../elements/dom.js';
import { SIGNED_OUT, signInLink, toast } from './notices.js';

const SUCCESS = 'Agent pipeline completed successfully!';
const NAVIGATE_MS = 1_500;
/** @type {Record<string, string|undefined>} */
const NOT_FOLLOWED = {
  NOT_AUTHENTICATED: SIGNED_OUT,
  RUN_NOT_FOUND: 'This run is no longer there.',
};

export class RunEnding {
  #banner;
  #names;
  /** @type {number|undefined} */
  #navigation;
  /** @type {HTMLElement|undefined} */
  #toast;

  /**
   * @param {HTMLElement} banner
   * @param {AgentNames} names
   */
  constructor(banner, names) {
    this.#banner = banner;
    this.#names = names;
  }

  /**
   * Somebody saw the run end: success leads to its artifacts, unless `forget` is called in time.
   * @param {RunState} state
   * @param {string} artifacts their address
   */
  tell(state, artifacts) {
    this.draw(state);
    if (state.status !== 'completed') return;
    this.#toast = toast(SUCCESS);
    this.#navigation = setTimeout(() => location.assign(artifacts), NAVIGATE_MS);
  }

  /**
   * The banner of a run that has ended without success; none for one that did not.
   * @param {RunState} state
   */
  draw({ status, error_message: message }) {
    if (status === 'failed' || status === 'cancelled') {
      this.#say(this.#names.within(message ?? '') || `The run ${status === 'failed' ? 'failed' : 'was cancelled'}.`);
    } else {
      this.#banner.hidden = true;
      setText(this.#banner, '');
    }
  }

  /**
   * The server no longer tells how the run goes on.
   * @param {Ending} ending
   */
  refuse({ code, message }) {
    this.#say(NOT_FOLLOWED[code] ?? message);
    if (code === 'NOT_AUTHENTICATED') this.#banner.append(' ', signInLink());
  }

  /** Another run is going to be shown: nobody is led away any more, or told of the one before. */
  forget() {
    clearTimeout(this.#navigation);
    this.#toast?.remove();
  }

  /** @param {string} text */
  #say(text) {
    setText(this.#banner, text);
    this.#banner.hidden = false;
  }
}
