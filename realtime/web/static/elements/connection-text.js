/**
 * How a connection is, in words. Pure.
 *
 * @typedef {import('../run-client.js').Connection} Connection
 */

/** @type {Partial<Record<Connection['state'], string>>} */
const WORDS = { connecting: 'Connecting…', live: 'Live', reconnecting: 'Reconnecting…' };

/**
 * Empty where nothing is claimed: `closed`, or a state that is not known.
 * @param {Connection} connection
 * @returns {string}
 */
export function connectionText({ state, since, cursor, head, reason }) {
  if (state === 'catching-up') return head === null ? 'Catching up…' : `Catching up ${cursor ?? 0} of ${head}`;
  if (state === 'offline') return `Offline${since === null ? '' : ` since ${clock(since)}`}, still trying`;
  if (state === 'reconnecting' && reason === 'draining') return 'The server restarts…';
  return WORDS[state] ?? '';
}

/**
 * `14:05` or `2:05 PM`, as times are written where the reader is.
 * @param {number} ms since 1970
 */
export function clock(ms) {
  return new Date(ms).toLocaleTimeString(undefined, { timeStyle: 'short' });
}
