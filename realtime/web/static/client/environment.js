/** What of its surroundings a client uses. Nothing is touched before it is asked for, so importing works anywhere. */
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
  now: () => Date.now(),
  random: () => Math.random(),
  address: () => globalThis.location?.href,
  online: () => globalThis.navigator?.onLine ?? true,
  hidden: () => globalThis.document?.visibilityState === 'hidden',

  /** Have `listener` called for `online`, `offline` or `visibilitychange`, until the function that is returned is. */
  listen: (type, listener) => {
    const target = type === 'visibilitychange' ? globalThis.document : globalThis;
    target?.addEventListener?.(type, listener);
    return () => target?.removeEventListener?.(type, listener);
  },
};
