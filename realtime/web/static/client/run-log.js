/**
 * What is known of one run, and up to where. Whatever arrives, in whatever order and however often: its events are
 * passed on once and in order.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('../run-client.js').RunEvent} RunEvent
 * @typedef {import('../run-client.js').RunReset} RunReset
 *
 * @typedef {object} LogOwner
 * @property {(state: RunState) => void} changed
 * @property {(event: RunEvent) => void} happened
 * @property {(reset: RunReset) => void} forgotten the state is another already
 * @property {() => void} missing what follows the cursor is to be asked for again
 */
import { applyEvent, emptyState, hasEnded, stateFromSnapshot } from '../apply-event.js';

export class RunLog {
  #owner;
  #runId;
  #state;
  #cursor;
  #head;
  #reset = null;
  #repairedAt = null;

  /**
   * @param {string} runId
   * @param {{after?: number, snapshot?: RunState}} known
   * @param {LogOwner} owner
   * @throws {TypeError} the snapshot is none
   */
  constructor(runId, { after, snapshot }, owner) {
    this.#runId = runId;
    this.#owner = owner;
    this.#state = snapshot === undefined ? emptyState(runId) : stateFromSnapshot(snapshot);
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
   * Where a subscription begins. `reset`: why what was known before is to be forgotten.
   * @param {{snapshot: any, cursor: number, head: number, reset: ?string}} start
   * @throws {TypeError} the snapshot is none
   */
  take({ snapshot, cursor, head, reset }) {
    const state = stateFromSnapshot(snapshot);
    if (reset !== null) {
      this.#forget({ reason: reset, cursor, state });
      return;
    }
    this.#cursor ??= cursor;
    this.#head = head;
    if (state.last_event_id >= this.#state.last_event_id) this.#become(state);
  }

  /** Events without id follow, then one with the id `cursor`: together they are the state. */
  resetting({ reason, cursor }) {
    this.#reset = { reason, cursor, state: emptyState(this.#runId) };
  }

  /**
   * What comes before the cursor is not passed on, but the state may be in want of it.
   * @param {RunEvent} event
   * @returns {boolean} it is progress: the event is the next one, or changed the state
   */
  add(event) {
    if (this.#reset !== null) return this.#rebuild(event);
    const cursor = this.#cursor ?? 0;
    if (event.id > cursor + 1 && this.repair()) return false;
    const state = applyEvent(this.#state, event);
    if (event.id <= cursor) return this.#become(state);
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

  /** What a reset over SSE consists of is shown when it is whole, not while it arrives. */
  #rebuild(event) {
    this.#reset.state = applyEvent(this.#reset.state, event);
    if (event.id === null) return false;
    const reset = this.#reset;
    this.#reset = null;
    this.#forget(reset);
    return true;
  }

  #forget({ reason, cursor, state }) {
    this.#cursor = cursor;
    this.#head = cursor;
    this.#repairedAt = null;
    this.#state = state;
    this.#owner.forgotten({ type: 'reset', run_id: this.#runId, reason, cursor, state });
    this.#owner.changed(state);
  }

  /** @returns {boolean} it is another */
  #become(state) {
    if (state === this.#state) return false;
    this.#state = state;
    this.#owner.changed(state);
    return true;
  }
}
