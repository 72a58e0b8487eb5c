/**
 * What of its surroundings a client uses. Nothing is touched before it is asked for, so importing works anywhere.
 *
 * @typedef {typeof BROWSER} Environment
 */
export const BROWSER = {
  get WebSocket() {
    return globalThis.WebSocket;
  },
  get EventSource() {
    return globalThis.EventSource;
  },
  /** @type {typeof fetch} */
  fetch: (...request) => globalThis.fetch(...request),
  /** @type {(callback: () => void, ms: number) => number} */
  setTimeout: (callback, ms) => globalThis.setTimeout(callback, ms),
  /** @type {(timer: ?number) => void} null: there is none */
  clearTimeout: (timer) => globalThis.clearTimeout(timer ?? undefined),
  now: () => Date.now(),
  /** Milliseconds since some moment: nobody sets this clock, unlike the one before. */
  monotonic: () => globalThis.performance.now(),
  random: () => Math.random(),
  /** @type {() => string | undefined} */
  address: () => globalThis.location?.href,
  online: () => globalThis.navigator?.onLine ?? true,
  hidden: () => globalThis.document?.visibilityState === 'hidden',

  /**
   * Have `listener` called for `online`, `offline` or `visibilitychange`, until the function that is returned is.
   * @param {string} type
   * @param {() => void} listener
   */
  listen: (type, listener) => {
    /** @type {EventTarget | undefined} */
    const target = type === 'visibilitychange' ? globalThis.document : globalThis;
    target?.addEventListener?.(type, listener);
    return () => target?.removeEventListener?.(type, listener);
  },
};
