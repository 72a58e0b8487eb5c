/**
 * What ends a watch for good.
 *
 * @typedef {import('../run-client.js').Ending} Ending
 */

/** @type {Ending} */
export const FINISHED = Object.freeze({ reason: 'finished', code: '', message: '' });

/** @type {Partial<Record<string, Ending['reason']>>} */
const REASONS = {
  NOT_AUTHENTICATED: 'forbidden',
  FORBIDDEN: 'forbidden',
  RUN_NOT_FOUND: 'gone',
  BAD_FRAME: 'invalid',
};
/** @type {Ending} */
const NO_RUN = { reason: 'gone', code: 'RUN_NOT_FOUND', message: 'There is no such run.' };
/** @type {Partial<Record<number, Ending>>} */
const BY_STATUS = {
  400: NO_RUN,
  401: { reason: 'forbidden', code: 'NOT_AUTHENTICATED', message: 'You are not signed in.' },
  403: { reason: 'forbidden', code: 'FORBIDDEN', message: 'You may not watch this run.' },
  404: NO_RUN,
};

/**
 * What a server's refusal by a code means for watching.
 * @param {{code: string, message: string}} refused
 * @returns {?Ending} null: it may be otherwise later
 */
export function refusal({ code, message }) {
  const reason = REASONS[code];
  return reason === undefined ? null : { reason, code, message };
}

/**
 * What its refusal by the status of an answer, of which it is known that it is the server's, means.
 * @param {number} status
 * @returns {?Ending} null: it may be otherwise later
 */
export function refusalByStatus(status) {
  return BY_STATUS[status] ?? null;
}

/**
 * What an id means that can be none's.
 * @param {'run'|'project'} what
 * @param {string} id
 * @returns {Ending}
 */
export function invalidId(what, id) {
  const message = `There is no ${what} “${id.slice(0, 40)}”: the id of a ${what} is a UUID.`;
  return { reason: 'gone', code: 'INVALID_ID', message };
}

/** A watch that is iterated was refused. */
export class WatchEndedError extends Error {
  /** @param {Ending} ending */
  constructor(ending) {
    super(ending.message);
    this.name = 'WatchEndedError';
    this.ending = ending;
  }
}
