/**
 * How a watch is connected, since when and why not: what of its `Connection` is not counted anew each time.
 *
 * @typedef {import('../run-client.js').Connection} Connection
 * @typedef {import('./link.js').Outage} Outage
 */
export class ConnectionState {
  #now;
  /** @type {Connection['state']} */
  #state = 'connecting';
  /** @type {?number} */
  #since;
  /** @type {Connection['reason']} */
  #reason = null;

  /** @param {() => number} now milliseconds since 1970 */
  constructor(now) {
    this.#now = now;
    this.#since = now();
  }

  /** @returns {Pick<Connection, 'state'|'since'|'reason'>} */
  get known() {
    return { state: this.#state, since: this.#since, reason: this.#reason };
  }

  /** There is no connection; another will come. @param {Outage} outage */
  lose({ offline, draining }) {
    if (draining) this.#reason = 'draining';
    this.become(offline ? 'offline' : 'reconnecting');
  }

  /** @param {Connection['state']} state */
  become(state) {
    this.#state = state;
    if (state === 'live') {
      this.#since = null;
      this.#reason = null;
    } else this.#since ??= this.#now();
  }
}
