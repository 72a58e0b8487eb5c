/**
 * What both transports share: what they are asked for, what they report, and what a refusal means.
 *
 * @typedef {object} FeedRequest
 * @property {string} baseUrl
 * @property {string} runId
 * @property {?number} cursor the last event id handled; null: none, not even by an earlier client of this `clientId`
 * @property {?string} clientId
 *
 * @typedef {object} FeedListener
 * @property {() => void} alive something arrived, or the connection stands
 * @property {() => void} live from here on, what happens to the run arrives
 * @property {(seconds: number) => void} pace how often a quiet server says something
 * @property {() => void} heartbeat a quiet server said something
 * @property {(start: {snapshot: any, cursor: number, reset: ?string}) => void} snapshot the state now; events after
 *   `cursor` follow. `reset`: why what was known before is to be forgotten
 * @property {(event: import('./apply-event.js').RunEvent) => void} event
 * @property {(reset: {reason: string, cursor: number}) => void} resetting events without id follow, then one with the
 *   id `cursor`: together they are the state
 * @property {(error: import('./frames.js').MalformedFrameError) => void} malformed
 * @property {() => void} finished every event of the run has been sent
 * @property {(milliseconds: number) => void} draining the server will restart; come back after this time
 * @property {(ending: ?Ending) => void} lost the connection is gone; null: worth trying again
 *
 * @typedef {object} Ending
 * @property {'finished'|'forbidden'|'gone'} reason
 * @property {string} code of the server, stable for programs
 * @property {string} message for people
 */

const REASONS = { NOT_AUTHENTICATED: 'forbidden', FORBIDDEN: 'forbidden', RUN_NOT_FOUND: 'gone', BAD_FRAME: 'gone' };

/**
 * What a server's refusal means for following a run.
 * @param {{code: string, message: string}} refused
 * @returns {?Ending} null: it may be otherwise later
 */
export function refusal({ code, message }) {
  const reason = REASONS[code];
  return reason === undefined ? null : { reason, code, message };
}
