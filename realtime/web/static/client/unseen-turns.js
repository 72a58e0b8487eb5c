/**
 * When a page has its streams. One that nobody sees takes turns: all pages of a browser share six connections to a
 * server over HTTP/1.1, but what a page shows in its tab should not be much older than half a minute.
 *
 * @typedef {object} TurnsOwner
 * @property {() => void} rest let go of all streams
 * @property {() => void} resume have them again
 */

const UNSEEN_MS = 10_000;
const REST_MS = 26_000;
/** From the moment at which something is heard. Browsers hold up timers of hidden pages that only timers have set. */
const TURN_MS = 4_000;

export class UnseenTurns {
  #owner;
  #env;
  #resting = false;
  /** @type {?number} until the rest begins, or ends; null: neither is to come */
  #timer = null;
  /** @type {?(() => void)} */
  #stopListening = null;

  /**
   * @param {TurnsOwner} owner
   * @param {import('./environment.js').Environment} env
   */
  constructor(owner, env) {
    this.#owner = owner;
    this.#env = env;
  }

  /** True while the page is to have no streams. */
  get resting() {
    return this.#resting;
  }

  /** There is something to follow. */
  begin() {
    this.#stopListening ??= this.#env.listen('visibilitychange', () => this.#look());
    this.#look();
  }

  /** A stream has brought something. */
  heard() {
    if (this.#env.hidden()) this.#restIn(TURN_MS);
  }

  /** There is nothing to follow. */
  end() {
    this.#stopListening?.();
    this.#stopListening = null;
    this.#wake();
  }

  #look() {
    if (this.#env.hidden()) {
      this.#restIn(UNSEEN_MS);
      return;
    }
    const rested = this.#resting;
    this.#wake();
    if (rested) this.#owner.resume();
  }

  #wake() {
    this.#resting = false;
    this.#env.clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** @param {number} ms */
  #restIn(ms) {
    this.#timer ??= this.#env.setTimeout(() => this.#rest(), ms);
  }

  #rest() {
    this.#resting = true;
    this.#timer = this.#env.setTimeout(() => {
      this.#wake();
      this.#owner.resume();
    }, REST_MS);
    this.#owner.rest();
  }
}
