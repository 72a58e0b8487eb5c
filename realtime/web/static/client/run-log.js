/**
 * What is known of one run, and up to where. Whatever arrives, in whatever order and however often: its events are
 * passed on once and in order.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('../run-client.js').RunEvent} RunEvent
 * @typedef {import('../run-client.js').ResetPart} ResetPart
 * @typedef {import('../run-client.js').RunReset} RunReset
 *
 * @typedef {object} Start where a subscription begins
 * @property {any} snapshot
 * @property {number} cursor
 * @property {number} head
 * @property {?string} reset why what was known before is to be forgotten
 *
 * @typedef {{reason: string, cursor: number, state: RunState}} Rebuilt
 *
 * @typedef {object} LogOwner
 * @property {(state: RunState) => void} changed
 * @property {(event: RunEvent) => void} happened
 * @property {(reset: RunReset) => void} forgotten the state is another already
 * @property {() => void} missing what follows the cursor is to be asked for again
 */
import { applyEvent, emptyState, hasEnded, isTerminal, stateFromSnapshot } from '../apply-event.js';

const AHEAD = 'cursor_ahead_of_log';

export class RunLog {
  #owner;
  #runId;
  #state;
  #cursor;
  #head;
  /** @type {?Rebuilt} */
  #reset = null;
  /** @type {?number} */
  #repairedAt = null;

  /**
   * @param {string} runId
   * @param {import('../run-client.js').WatchOptions} known
   * @param {LogOwner} owner
   * @throws {TypeError} `after` is no cursor, or the snapshot none of this run
   */
  constructor(runId, { after, snapshot }, owner) {
    this.#runId = runId;
    this.#owner = owner;
    checkCursor(after ?? 0);
    this.#state = snapshot === undefined ? emptyState(runId) : stateFromSnapshot(snapshot);
    checkRun(this.#state.id, runId);
    const known = snapshot?.last_event_id ?? null;
    this.#cursor = after ?? known;
    this.#head = this.#cursor === null ? null : Math.max(this.#cursor, known ?? 0);
  }

  get state() {
    return this.#state;
  }

  /** @returns {?number} everything up to it is here; null: nothing */
  get cursor() {
    return this.#cursor;
  }

  /** @returns {?number} everything up to it is here and in the state; null: nothing */
  get folded() {
    return this.#cursor === null ? null : Math.min(this.#cursor, this.#state.last_event_id);
  }

  /** @returns {?number} the newest event id known to exist */
  get head() {
    return this.#head;
  }

  /** True where nothing more can come. */
  get ended() {
    return hasEnded(this.#state);
  }

  /** What of a reset has arrived is nothing: the connection is another. */
  breakOff() {
    this.#reset = null;
  }

  /**
   * Of several viewers that share a subscription the server knows the least cursor: another may be beyond the log.
   * @param {Start} start
   * @throws {TypeError} the snapshot is none
   */
  take({ snapshot, cursor, head, reset }) {
    const state = stateFromSnapshot(snapshot);
    const newest = state.last_event_id;
    if (reset !== null || newest < (this.#cursor ?? 0)) {
      this.#forget({ reason: reset ?? AHEAD, cursor: reset === null ? newest : cursor, state });
      return;
    }
    this.#cursor ??= cursor;
    this.#head = head;
    if (newest >= this.#state.last_event_id) this.#become(state);
  }

  /**
   * Events without id follow, then one with the id `cursor`: together they are the state.
   * @param {{reason: string, cursor: number}} reset
   */
  resetting({ reason, cursor }) {
    this.#reset = { reason, cursor, state: emptyState(this.#runId) };
  }

  /**
   * What comes before the cursor is not passed on, but the state may be in want of it. A part of no reset is nothing.
   * @param {RunEvent | ResetPart} event
   * @returns {boolean} it is progress: the event is the next one, or changed the state
   */
  add(event) {
    if (this.#reset !== null) return this.#rebuild(this.#reset, event);
    if (event.id === null) return false;
    const cursor = this.#cursor ?? 0;
    if (event.id > cursor + 1 && this.repair()) return false;
    const state = applyEvent(this.#state, event);
    if (event.id <= cursor) {
      const progress = this.#become(state);
      if (isTerminal(event)) this.settle();
      return progress;
    }
    this.#cursor = event.id;
    this.#head = Math.max(this.#head ?? 0, event.id);
    this.#become(state);
    this.#owner.happened(event);
    return true;
  }

  /**
   * Have what is missing after the cursor asked for again, once.
   * @returns {boolean} false: it was asked for and did not come
   */
  repair() {
    if (this.#repairedAt === this.#cursor) return false;
    this.#repairedAt = this.#cursor;
    this.#owner.missing();
    return true;
  }

  /**
   * There is no event after those in the state, so that a cursor beyond them is of another log. Over SSE the server
   * does not say so where the state had to be rebuilt: it was asked for less than the cursor.
   */
  settle() {
    const { last_event_id: head } = this.#state;
    if (this.#reset !== null || head === 0 || (this.#cursor ?? 0) <= head) return;
    this.#forget({ reason: AHEAD, cursor: head, state: this.#state });
  }

  /**
   * What a reset over SSE consists of is shown when it is whole, not while it arrives.
   * @param {Rebuilt} reset
   * @param {RunEvent | ResetPart} event
   */
  #rebuild(reset, event) {
    reset.state = applyEvent(reset.state, event);
    if (event.id === null) return false;
    this.#reset = null;
    this.#forget(reset);
    return true;
  }

  /** @param {Rebuilt} reset */
  #forget({ reason, cursor, state }) {
    this.#cursor = cursor;
    this.#head = cursor;
    this.#repairedAt = null;
    this.#state = state;
    this.#owner.forgotten({ type: 'reset', run_id: this.#runId, reason, cursor, state });
    this.#owner.changed(state);
  }

  /** @param {RunState} state @returns {boolean} it is another */
  #become(state) {
    if (state === this.#state) return false;
    this.#state = state;
    this.#owner.changed(state);
    return true;
  }
}

/** @param {unknown} after */
function checkCursor(after) {
  if (Number.isSafeInteger(after) && Number(after) >= 0) return;
  throw new TypeError(`expected after to be an event id, or 0, got the ${typeof after} ${after}`);
}

/** @param {string} given @param {string} wanted */
function checkRun(given, wanted) {
  if (given.toLowerCase() !== wanted) throw new TypeError(`expected a snapshot of run ${wanted}, got one of ${given}`);
}
