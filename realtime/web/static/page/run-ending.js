/**
 * How a run ended, told once: success by a toast and then its artifacts, anything else by a banner. Dispatches `leaving`
 * before it leads there, and `staying` where nothing came of that.
 *
 * @typedef {import('../run-client.js').Ending} Ending
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('./agent-names.js').AgentNames} AgentNames
 * @typedef {import('./telling.js').Telling<{leaving: null, staying: null}>} Telling
 */
import { element, setText } from '../elements/dom.js';
import { SIGNED_OUT, signInLink, toast } from './notices.js';

const SUCCESS = 'Agent pipeline completed successfully!';
const NAVIGATE_MS = 1_500;
/** @type {Record<string, string|undefined>} */
const NOT_FOLLOWED = {
  NOT_AUTHENTICATED: SIGNED_OUT,
  RUN_NOT_FOUND: 'This run is no longer there.',
};

export class RunEnding extends /** @type {Telling} */ (EventTarget) {
  #banner;
  #names;
  #uploaded;
  /** @type {?object} another for each success that leads away; null: none does */
  #leading = null;
  /** @type {HTMLElement|undefined} */
  #toast;

  /**
   * @param {HTMLElement} banner
   * @param {AgentNames} names
   * @param {() => Promise<boolean>} uploaded settles when leaving breaks off no upload; false: there is something to be
   *   read about one first
   */
  constructor(banner, names, uploaded) {
    super();
    this.#banner = banner;
    this.#names = names;
    this.#uploaded = uploaded;
  }

  /**
   * Somebody saw the run end: success leads to its artifacts, unless `forget` is called in time.
   * @param {RunState} state
   * @param {string} artifacts their address
   */
  tell(state, artifacts) {
    this.draw(state);
    if (state.status === 'completed') this.#lead(artifacts);
  }

  /** @param {string} artifacts */
  async #lead(artifacts) {
    const leading = {};
    this.#leading = leading;
    this.#offer(artifacts);
    let uploaded = await this.#uploaded();
    if (uploaded && leading === this.#leading) {
      if (!this.#toast?.isConnected) this.#offer(artifacts);
      this.dispatchEvent(new CustomEvent('leaving'));
      await passed(NAVIGATE_MS);
      uploaded = await this.#uploaded();
    }
    if (leading !== this.#leading) return;
    if (uploaded) location.assign(artifacts);
    else this.#stay(artifacts);
  }

  /** @param {string} artifacts */
  #stay(artifacts) {
    this.#offer(artifacts);
    this.dispatchEvent(new CustomEvent('staying'));
  }

  /** @param {string} artifacts */
  #offer(artifacts) {
    const link = element('a', '', 'Show artifacts');
    link.href = artifacts;
    this.#toast?.remove();
    this.#toast = toast(SUCCESS, ' ', link);
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

  /** Another run is going to be shown, or none followed: nobody is led away any more, or told of the one before. */
  forget() {
    this.#leading = null;
    this.#toast?.remove();
  }

  /** @param {string} text */
  #say(text) {
    setText(this.#banner, text);
    this.#banner.hidden = false;
  }
}

/** @param {number} ms @returns {Promise<void>} */
const passed = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
