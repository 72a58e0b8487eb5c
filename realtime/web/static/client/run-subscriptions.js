/**
 * The runs that are followed over one socket: a place for each, as many as the server allows. Who finds none waits
 * until another is done.
 *
 * @typedef {import('./run-watch.js').RunViewer} RunViewer
 *
 * @typedef {object} Subscription
 * @property {Set<RunViewer>} viewers
 * @property {?string} ref of the latest `subscribe`; null: it has no place on this connection yet
 * @property {boolean} begun the server has answered it, so that events are about it and not about the one before
 */
import { refusal } from './endings.js';
import { MalformedFrameError, eventFrom } from './frames.js';

const SUBSCRIPTIONS = 64;
const ENDING_CODES = new Set(['FORBIDDEN', 'RUN_NOT_FOUND', 'BAD_FRAME']);

export class RunSubscriptions {
  #send;
  #clientId;
  /** @type {Map<string, Subscription>} by run id, in the order in which they wait */
  #runs = new Map();
  #places = 0;
  #refs = 0;

  /**
   * @param {(frame: object) => void} send
   * @param {?string} clientId
   */
  constructor(send, clientId) {
    this.#send = send;
    this.#clientId = clientId;
  }

  /** @returns {RunViewer[]} */
  get viewers() {
    return [...this.#runs.values()].flatMap(({ viewers }) => [...viewers]);
  }

  /** Follow a run from the viewer's cursor; again, where the viewer is here already. */
  add(viewer) {
    const run = this.#runs.get(viewer.runId) ?? { viewers: new Set(), ref: null, begun: false };
    this.#runs.set(viewer.runId, run);
    run.viewers.add(viewer);
    if (run.ref === null) this.#fill();
    else this.#subscribe(viewer.runId, run);
  }

  remove(viewer) {
    const run = this.#runs.get(viewer.runId);
    if (!run?.viewers.delete(viewer) || run.viewers.size > 0) return;
    this.#runs.delete(viewer.runId);
    if (run.ref === null) return;
    this.#send({ op: 'unsubscribe', run_id: viewer.runId });
    this.#fill();
  }

  /** The connection can be used. @param {any} limits as its `welcome` says */
  open(limits) {
    this.#places = limits?.subscriptions > 0 ? limits.subscriptions : SUBSCRIPTIONS;
    this.#fill();
  }

  /** The connection is gone. */
  lost() {
    this.#places = 0;
    for (const run of this.#runs.values()) Object.assign(run, { ref: null, begun: false });
  }

  /** @param {RunViewer} viewer @param {number} eventId everything up to it has been handled */
  ack(viewer, eventId) {
    if (this.#runs.get(viewer.runId)?.begun) this.#send({ op: 'ack', run_id: viewer.runId, event_id: eventId });
  }

  /**
   * An event of a run.
   * @returns {boolean} it was new to somebody
   * @throws {MalformedFrameError}
   */
  event(frame) {
    if (typeof frame.run_id !== 'string') {
      throw new MalformedFrameError('expected an event of a run', JSON.stringify(frame));
    }
    const run = this.#runs.get(frame.run_id);
    if (!run?.begun) return false;
    const event = eventFrom(frame, frame.run_id, frame.id ?? 0);
    return [...run.viewers].map((viewer) => viewer.event(event)).includes(true);
  }

  /**
   * A control frame, which may be about something else.
   * @throws {MalformedFrameError}
   */
  control(frame) {
    const run = this.#runs.get(frame.run_id);
    switch (frame.op) {
      case 'subscribed':
      case 'reset':
        if (run !== undefined) this.#begin(run, frame);
        break;
      case 'finished':
        if (run?.begun) tell(run, (viewer) => viewer.finished());
        break;
      case 'error':
        this.#refuse(run ?? this.#asked(frame.ref), frame);
        break;
      default:
    }
  }

  /** What could not be read is told to those it is about, as far as that can be known. */
  malformed(error, runId) {
    for (const viewer of this.#runs.get(runId)?.viewers ?? this.viewers) viewer.malformed(error);
  }

  #fill() {
    let free = this.#places - [...this.#runs.values()].filter(({ ref }) => ref !== null).length;
    for (const [runId, run] of this.#runs) {
      if (free <= 0) return;
      if (run.ref !== null) continue;
      this.#subscribe(runId, run);
      free -= 1;
    }
  }

  #subscribe(runId, run) {
    this.#refs += 1;
    run.ref = `run-${this.#refs}`;
    run.begun = false;
    const frame = { op: 'subscribe', ref: run.ref, run_id: runId };
    const cursor = this.#cursor(run);
    if (cursor !== null) frame.last_event_id = cursor;
    if (this.#clientId !== null) frame.client_id = this.#clientId;
    this.#send(frame);
  }

  /**
   * The server knows one subscription of a run, and each viewer takes what is new to it. Who has no cursor goes on
   * after what this client acked, so at most after what the others have; without a client's name, from the start.
   */
  #cursor({ viewers }) {
    const cursors = [...viewers].map((viewer) => viewer.cursor());
    const known = cursors.filter((cursor) => cursor !== null);
    if (known.length === 0) return null;
    return known.length < cursors.length && this.#clientId === null ? 0 : Math.min(...known);
  }

  /** A reset also comes unasked, when the log has lost what is due. */
  #begin(run, frame) {
    if (frame.ref === undefined ? !run.begun : frame.ref !== run.ref) return;
    run.begun = true;
    const { cursor, snapshot } = frame;
    if (!Number.isSafeInteger(cursor)) {
      throw new MalformedFrameError(`expected ${frame.op} with a cursor`, JSON.stringify(frame));
    }
    const head = Number.isSafeInteger(frame.head) ? frame.head : cursor;
    const reset = frame.op === 'reset' ? String(frame.reason) : null;
    tell(run, (viewer) => viewer.take({ snapshot, cursor, head, reset }));
  }

  #asked(ref) {
    return [...this.#runs.values()].find((run) => run.ref !== null && run.ref === ref);
  }

  #refuse(run, { code, message }) {
    if (run === undefined || !ENDING_CODES.has(code)) return;
    run.ref = null;
    tell(run, (viewer) => viewer.refused(refusal({ code, message: String(message) })));
    this.#fill();
  }
}

/** A viewer may leave when it is told. */
function tell(run, what) {
  for (const viewer of [...run.viewers]) what(viewer);
}
