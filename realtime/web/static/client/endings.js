/**
 * What ends a watch for good.
 *
 * @typedef {import('../run-client.js').Ending} Ending
 */

const REASONS = {
  NOT_AUTHENTICATED: 'forbidden',
  FORBIDDEN: 'forbidden',
  RUN_NOT_FOUND: 'gone',
  PROJECT_NOT_FOUND: 'gone',
  INVALID_ID: 'gone',
  BAD_FRAME: 'gone',
};
const BY_STATUS = {
  400: { code: 'RUN_NOT_FOUND', message: 'There is no such run.' },
  401: { code: 'NOT_AUTHENTICATED', message: 'You are not signed in.' },
  403: { code: 'FORBIDDEN', message: 'You may not watch this run.' },
  404: { code: 'RUN_NOT_FOUND', message: 'There is no such run.' },
};

/** @type {Ending} */
export const FINISHED = Object.freeze({ reason: 'finished', code: '', message: '' });

/**
 * What a server's refusal means for watching.
 * @param {{code: string, message: string}} refused
 * @returns {?Ending} null: it may be otherwise later
 */
export function refusal({ code, message }) {
  const reason = REASONS[code];
  return reason === undefined ? null : { reason, code, message };
}

/**
 * What the status of an answer means for the stream of a run that it refuses.
 * @param {number} status
 * @returns {?Ending} null: it may be otherwise later
 */
export function endingByStatus(status) {
  if (status === 204) return FINISHED;
  return BY_STATUS[status] === undefined ? null : refusal(BY_STATUS[status]);
}

/** A watch that is iterated ended with `forbidden` or `gone`. */
export class WatchEndedError extends Error {
  /** @param {Ending} ending */
  constructor(ending) {
    super(ending.message);
    this.name = 'WatchEndedError';
    this.ending = ending;
  }
}
