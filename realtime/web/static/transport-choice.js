/** What of the browser a RunClient uses; tests hand in another. */
export const BROWSER = {
  get WebSocket() {
    return globalThis.WebSocket;
  },
  get EventSource() {
    return globalThis.EventSource;
  },
  fetch: (...request) => globalThis.fetch(...request),
  setTimeout: (callback, ms) => globalThis.setTimeout(callback, ms),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
  random: () => Math.random(),
  online: () => globalThis.navigator.onLine,
};

const WEBSOCKET = 'websocket';
const EVENTSOURCE = 'eventsource';
const MISSES_BEFORE_OTHER = { [WEBSOCKET]: 2, [EVENTSOURCE]: 1 };

/**
 * Which transport to try next: WebSocket; EventSource after two WebSockets in a row that brought nothing; and back
 * when that brings nothing either, for then it was the network. What worked is kept.
 */
export class TransportChoice {
  #current = WEBSOCKET;
  #misses = 0;
  #websocket = true;

  /** @returns {'websocket'|'eventsource'} */
  get current() {
    return this.#current;
  }

  /** The connection brought something. */
  worked() {
    this.#misses = 0;
  }

  /** The connection ended and had brought nothing. */
  missed() {
    this.#misses += 1;
    if (this.#misses < MISSES_BEFORE_OTHER[this.#current]) return;
    this.#misses = 0;
    this.#current = this.#current === WEBSOCKET || !this.#websocket ? EVENTSOURCE : WEBSOCKET;
  }

  /** There is no WebSocket here at all. */
  withoutWebSocket() {
    this.#websocket = false;
    this.#current = EVENTSOURCE;
  }
}
