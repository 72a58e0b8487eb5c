/**
 * Who asks: nobody by name where the browser's cookie says it, else whom a token names. One for each connection and
 * each request, because each may be refused by itself.
 *
 * @typedef {import('../run-client.js').RunClientOptions['token']} TokenSource
 */
export class Identity {
  #source;
  /** @type {?string} the one in use: what the server refuses is this, however fresh another is */
  #token = null;
  /** @type {?string} sent in place of it; not accepted yet */
  #offered = null;
  /** @type {?string} */
  #refused = null;
  /** @type {?object} another for each time a token is asked for: of two, only the last is used */
  #wanted = null;

  /** @param {TokenSource} source */
  constructor(source) {
    this.#source = source;
  }

  /** False: the cookie says it, and there is no token to wait for. */
  get byToken() {
    return this.#source !== undefined;
  }

  /**
   * The token to begin with now.
   * @returns {Promise<?string>} null: there is none other than what was refused
   * @throws what the application's function throws
   */
  async token() {
    const refused = this.#refused;
    const wanted = {};
    this.#wanted = wanted;
    const token = await this.#ask({ refused: refused !== null, expiring: false });
    if (!token || token === refused) return null;
    if (this.#wanted === wanted) [this.#token, this.#offered] = [token, null];
    return token;
  }

  /**
   * A token to `offer` in place of the one in use.
   * @returns {Promise<?string>} null: there is no other
   * @throws what the application's function throws
   */
  async fresher() {
    const token = await this.#ask({ refused: false, expiring: true });
    return token && token !== this.#token ? token : null;
  }

  /** A fresher token was sent: it is in use once it is accepted. @param {string} token */
  offer(token) {
    this.#offered = token;
  }

  /**
   * The server refused the token in use.
   * @returns {boolean} true where another may be had: once, until one is `accepted`
   */
  refuse() {
    if (typeof this.#source !== 'function' || this.#refused !== null) return false;
    this.#refused = this.#token;
    return true;
  }

  /** The server took the token. */
  accept() {
    this.#token = this.#offered ?? this.#token;
    this.#offered = this.#refused = null;
  }

  /** @param {{refused: boolean, expiring: boolean}} why */
  async #ask(why) {
    return typeof this.#source === 'function' ? this.#source(why) : this.#source;
  }
}
