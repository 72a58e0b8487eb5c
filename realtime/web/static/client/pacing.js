/** When to try again, and when to say how far one is. Neither owns a connection. */

const FIRST_MS = 500;
const MOST_MS = 20_000;
const ACK_MS = 1_000;

/** Full-jitter exponential backoff: waits are drawn evenly from 0 to a ceiling that doubles from 0.5 s to 20 s. */
export class Backoff {
  #attempts;
  #random;

  /**
   * @param {() => number} random from 0 up to 1
   * @param {number} [attempts] how many waits there were already
   */
  constructor(random, attempts = 0) {
    this.#random = random;
    this.#attempts = attempts;
  }

  /** How many waits there were since progress. */
  get attempts() {
    return this.#attempts;
  }

  /** @returns {number} how long to wait now, in milliseconds */
  next() {
    const ceiling = Math.min(MOST_MS, FIRST_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    return this.#random() * ceiling;
  }

  /** Only progress resets it: a server that accepts and drops is not to be hammered. */
  reset() {
    this.#attempts = 0;
  }
}

/** Sends the newest acknowledged id at once, then at most once a second, each id at most once. */
export class AckPacer {
  #send;
  #timers;
  /** @type {?number} */
  #timer = null;
  #newest = 0;
  #sent = 0;

  /**
   * @param {(eventId: number) => void} send
   * @param {Pick<import('./environment.js').Environment, 'setTimeout'|'clearTimeout'>} timers
   */
  constructor(send, timers) {
    this.#send = send;
    this.#timers = timers;
  }

  /** @param {number} eventId everything up to it has been handled */
  add(eventId) {
    this.#newest = eventId;
    if (this.#timer === null) this.#flush();
  }

  /** Say it again: who was told is there no more. */
  repeat() {
    if (this.#sent === Infinity) return;
    this.#sent = 0;
    if (this.#timer === null) this.#flush();
  }

  /** What was handled is of no account any more. */
  forget() {
    if (this.#sent !== Infinity) this.#sent = this.#newest = 0;
  }

  /** Send what is waiting, and nothing after it. */
  close() {
    if (this.#timer !== null) this.#timers.clearTimeout(this.#timer);
    if (this.#newest > this.#sent) this.#send(this.#newest);
    this.#sent = this.#newest = Infinity;
  }

  #flush() {
    this.#timer = null;
    if (this.#newest <= this.#sent) return;
    this.#sent = this.#newest;
    this.#send(this.#sent);
    this.#timer = this.#timers.setTimeout(() => this.#flush(), ACK_MS);
  }
}
