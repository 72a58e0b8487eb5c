/**
 * Sends control frames no faster than the server takes them. Of those about one run or project that have to wait only
 * the latest counts; places are left before others are taken, so that there are never too many.
 *
 * @typedef {import('./frames.js').Frame} Frame
 */

/** As long as the server does not say. */
const FRAMES_PER_S = 50;
/** So many seconds' frames leave at once. The server takes two: what is late may arrive with what follows. */
const AT_ONCE_S = 1.5;
const LEAVING = new Set(['unsubscribe', 'unwatch_project']);

export class FramePacer {
  #send;
  #env;
  #framesPerS = FRAMES_PER_S;
  /** How many frames were sent beyond what the server takes in the time since: as of `#owedAt`. */
  #owed = 0;
  #owedAt;
  /** @type {Map<string, Frame>} by what they are about */
  #waiting = new Map();
  /** @type {Set<string>} what the server was asked for */
  #asked = new Set();
  /** @type {?number} */
  #timer = null;

  /**
   * @param {(frame: Frame) => void} send
   * @param {Pick<import('./environment.js').Environment, 'monotonic'|'setTimeout'|'clearTimeout'>} env
   */
  constructor(send, env) {
    this.#send = send;
    this.#env = env;
    this.#owedAt = env.monotonic();
  }

  /** How many the server takes; anything but a number above 0 is not heard. @param {unknown} framesPerS */
  pace(framesPerS) {
    if (Number(framesPerS) > 0) this.#framesPerS = Number(framesPerS);
  }

  /** What takes or leaves a place, sooner or later. @param {Frame} frame */
  send(frame) {
    const about = frame.run_id ?? frame.project_id;
    this.#waiting.delete(about);
    if (!LEAVING.has(frame.op) || this.#asked.has(about)) this.#waiting.set(about, frame);
    if (this.#timer === null) this.#flush();
  }

  /** Send nothing more. */
  close() {
    this.#waiting.clear();
    this.#env.clearTimeout(this.#timer);
  }

  #flush() {
    this.#timer = null;
    this.#makeUp();
    const waiting = [...this.#waiting].sort(([, one], [, other]) => rank(one) - rank(other));
    const room = Math.floor(AT_ONCE_S * this.#framesPerS - this.#owed);
    for (const [about, frame] of waiting.slice(0, Math.max(0, room))) this.#pass(about, frame);
    if (this.#waiting.size === 0) return;
    this.#timer = this.#env.setTimeout(() => this.#flush(), 1000 / this.#framesPerS);
  }

  #makeUp() {
    const now = this.#env.monotonic();
    this.#owed = Math.max(0, this.#owed - ((now - this.#owedAt) / 1000) * this.#framesPerS);
    this.#owedAt = now;
  }

  /** @param {string} about @param {Frame} frame */
  #pass(about, frame) {
    this.#waiting.delete(about);
    if (LEAVING.has(frame.op)) this.#asked.delete(about);
    else this.#asked.add(about);
    this.#owed += 1;
    this.#send(frame);
  }
}

/** @param {Frame} frame */
const rank = ({ op }) => (LEAVING.has(op) ? 0 : 1);
