/**
 * The server's clock, as far as the server has told it. What it told is carried on by a clock that nobody sets, so that
 * it neither jumps nor stands when this computer's time is set.
 */
export class ServerClock {
  #env;
  /** @type {?number} the server's time when the monotonic clock showed 0; null: it has told nothing */
  #origin = null;

  /** @param {Pick<import('./environment.js').Environment, 'now'|'monotonic'>} env */
  constructor(env) {
    this.#env = env;
  }

  /** @returns {number} milliseconds since 1970; this computer's until the server has told its own */
  now() {
    return this.#origin === null ? this.#env.now() : this.#origin + this.#env.monotonic();
  }

  /** @param {unknown} serverTime what a server just said it is, RFC 3339; anything else is not heard */
  learn(serverTime) {
    this.#origin = this.#originBy(serverTime) ?? this.#origin;
  }

  /** @param {unknown} serverTime of something that has happened: it is not earlier than that */
  passed(serverTime) {
    const origin = this.#originBy(serverTime);
    if (origin !== null && origin + this.#env.monotonic() > this.now()) this.#origin = origin;
  }

  /** @param {unknown} serverTime what it said maybe a while ago, so that it is later: heard where less is known */
  recall(serverTime) {
    const origin = this.#originBy(serverTime);
    if (origin !== null && origin > (this.#origin ?? -Infinity)) this.#origin = origin;
  }

  /** @param {unknown} serverTime */
  #originBy(serverTime) {
    const said = typeof serverTime === 'string' ? Date.parse(serverTime) : NaN;
    return Number.isNaN(said) ? null : said - this.#env.monotonic();
  }
}
