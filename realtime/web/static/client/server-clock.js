/** The server's clock, as far as the server has told it. */
export class ServerClock {
  #own;
  /** null: it has told nothing. */
  #ahead = null;

  /** @param {() => number} own this computer's clock, in milliseconds since 1970 */
  constructor(own) {
    this.#own = own;
  }

  /** @returns {number} milliseconds since 1970 */
  now() {
    return this.#own() + (this.#ahead ?? 0);
  }

  /** @param {any} serverTime what a server just said it is, RFC 3339; anything else is not heard */
  learn(serverTime) {
    this.#ahead = this.#aheadBy(serverTime) ?? this.#ahead;
  }

  /** @param {any} serverTime what it said maybe a while ago, so that this is late: heard where no more is known */
  recall(serverTime) {
    const ahead = this.#aheadBy(serverTime);
    if (ahead !== null && ahead > (this.#ahead ?? -Infinity)) this.#ahead = ahead;
  }

  #aheadBy(serverTime) {
    const said = typeof serverTime === 'string' ? Date.parse(serverTime) : NaN;
    return Number.isNaN(said) ? null : said - this.#own();
  }
}
