/** The server's clock, as far as the server has told it. */
export class ServerClock {
  #own;
  #ahead = 0;

  /** @param {() => number} own this computer's clock, in milliseconds since 1970 */
  constructor(own) {
    this.#own = own;
  }

  /** @returns {number} milliseconds since 1970 */
  now() {
    return this.#own() + this.#ahead;
  }

  /** @param {any} serverTime what a server just said it is, RFC 3339; anything else is not heard */
  learn(serverTime) {
    const told = typeof serverTime === 'string' ? Date.parse(serverTime) : NaN;
    if (!Number.isNaN(told)) this.#ahead = told - this.#own();
  }
}
