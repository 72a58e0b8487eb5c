/**
 * What arrives on either wire, checked before anything acts on it. Pure.
 *
 * @typedef {import('../run-client.js').RunEvent} RunEvent
 * @typedef {import('../run-client.js').ResetPart} ResetPart
 *
 * @typedef {Record<string, any>} Frame a JSON object of which nothing is known yet
 */

/** What arrived is not what the protocol says; `data` is the beginning of it. */
export class MalformedFrameError extends Error {
  /** @param {string} reason @param {any} data */
  constructor(reason, data) {
    super(reason);
    this.name = 'MalformedFrameError';
    this.data = String(data).slice(0, 200);
  }

  /**
   * @param {unknown} error what was thrown when `data` was applied
   * @param {any} data
   * @returns {MalformedFrameError}
   */
  static from(error, data) {
    if (error instanceof MalformedFrameError) return error;
    return new MalformedFrameError(error instanceof Error ? error.message : String(error), data);
  }
}

/** @type {Record<string, Record<string, string>>} */
const STEP_FIELDS = {
  queued: { step_id: 'string', agent_type: 'string', position: 'number' },
  running: { step_id: 'string', progress_pct: 'number' },
  complete: { step_id: 'string' },
  error: { step_id: 'string', message: 'string' },
};

/** @param {unknown} value */
const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/**
 * The object in a frame.
 * @param {any} data what the browser handed over
 * @returns {Frame}
 * @throws {MalformedFrameError} it is not the JSON text of an object
 */
export function parseFrame(data) {
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    throw new MalformedFrameError('expected JSON text', data);
  }
  if (!isObject(value)) throw new MalformedFrameError('expected a JSON object', data);
  return value;
}

/**
 * True for the sign of life that is no event of a run.
 * @param {Frame} frame
 */
export function isHeartbeat(frame) {
  return frame.type === 'heartbeat';
}

/**
 * The event in a frame, with every field that folding reads.
 * @param {Frame} frame
 * @param {string} runId the run it has to be about
 * @param {?number} id null: it has none, as the parts of a reset over SSE
 * @returns {RunEvent | ResetPart}
 * @throws {MalformedFrameError}
 */
export function eventFrom(frame, runId, id) {
  /** @param {string} reason */
  const refuse = (reason) => {
    throw new MalformedFrameError(reason, JSON.stringify(frame));
  };
  const { type, payload } = frame;
  if (!Object.hasOwn(STEP_FIELDS, type)) refuse('expected an event of a known type');
  if (!isObject(payload)) refuse('expected a payload');
  if (frame.run_id !== runId) refuse('expected an event of the run that is followed');
  if (id !== null && !(Number.isSafeInteger(id) && id > 0)) refuse('expected an event id from 1 up');
  const fields = payload.all_done === true ? {} : STEP_FIELDS[type];
  for (const [name, kind] of Object.entries(fields)) {
    if (typeof payload[name] !== kind) refuse(`expected ${name} to be a ${kind}`);
  }
  return { id, type, run_id: runId, payload };
}
