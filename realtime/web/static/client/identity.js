/**
 * Who asks: nobody by name where the browser's cookie says it, else whom a token names. One for each connection and
 * each request, because each may be refused by itself.
 *
 * @typedef {import('../run-client.js').RunClientOptions['token']} TokenSource
 */
export class Identity {
  #source;
  /** @type {?string} */
  #token = null;
  /** @type {?string} */
  #refused = null;

  /** @param {TokenSource} source */
  constructor(source) {
    this.#source = source;
  }

  /** False: the cookie says it, and there is no token to wait for. */
  get byToken() {
    return this.#source !== undefined;
  }

  /**
   * The token to send now.
   * @returns {Promise<?string>} null: there is none other than what was refused
   * @throws what the application's function throws
   */
  async token() {
    const refused = this.#refused;
    const token = typeof this.#source === 'function'
      ? await this.#source({ refused: refused !== null })
      : this.#source;
    if (!token || token === refused) return null;
    this.#token = token;
    return token;
  }

  /**
   * The server refused the token.
   * @returns {boolean} true where another may be had: once, until one is `accepted`
   */
  refuse() {
    if (typeof this.#source !== 'function' || this.#refused !== null) return false;
    this.#refused = this.#token;
    return true;
  }

  /** The server took the token. */
  accept() {
    this.#refused = null;
  }
}
