/**
 * The runs that are followed over one socket: a place for each, as many as the server allows and projects leave. Who
 * finds none waits until another is done.
 *
 * @typedef {import('./frames.js').Frame} Frame
 * @typedef {import('./run-watch.js').RunViewer} RunViewer
 *
 * @typedef {object} Begun
 * @property {boolean} begun the server has answered the `ref`, so that events are about it and not the one before
 * @typedef {import('./followed.js').Followed<RunViewer> & Begun} Subscription
 */
import { refusal } from './endings.js';
import { askedWith, tell, viewersOf } from './followed.js';
import { MalformedFrameError, eventFrom } from './frames.js';

export class RunSubscriptions {
  #send;
  #clientId;
  /** @type {Map<string, Subscription>} by run id, in the order in which they wait */
  #runs = new Map();
  #limit = 0;
  #others;
  #refs = 0;

  /**
   * @param {(frame: Frame) => void} send
   * @param {?string} clientId
   * @param {() => number} others how many places are taken by what is no run
   */
  constructor(send, clientId, others) {
    this.#send = send;
    this.#clientId = clientId;
    this.#others = others;
  }

  get viewers() {
    return viewersOf(this.#runs);
  }

  /** Follow a run from the viewer's cursor; again, where the viewer is here already. @param {RunViewer} viewer */
  add(viewer) {
    const run = this.#runs.get(viewer.runId) ?? { viewers: new Set(), ref: null, begun: false };
    this.#runs.set(viewer.runId, run);
    run.viewers.add(viewer);
    if (run.ref === null) this.fit();
    else this.#subscribe(viewer.runId, run);
  }

  /** @param {RunViewer} viewer */
  remove(viewer) {
    const run = this.#runs.get(viewer.runId);
    if (!run?.viewers.delete(viewer) || run.viewers.size > 0) return;
    this.#runs.delete(viewer.runId);
    if (run.ref === null) return;
    this.#send({ op: 'unsubscribe', run_id: viewer.runId });
    this.fit();
  }

  /** The connection can be used. @param {number} limit how many places the server allows on it */
  open(limit) {
    this.#limit = limit;
    this.fit();
  }

  /** Use the places that there are: those that wait get what is free, the last leave what others have taken. */
  fit() {
    if (this.#limit === 0) return;
    const runs = [...this.#runs];
    const waiting = runs.splice(Math.max(0, this.#limit - this.#others()));
    for (const [runId, run] of waiting) this.#vacate(runId, run);
    for (const [runId, run] of runs) if (run.ref === null) this.#subscribe(runId, run);
    for (const [, run] of waiting) if (run.ref === null) tell(run, (viewer) => viewer.waiting());
  }

  /** The connection is gone. */
  lost() {
    this.#limit = 0;
    for (const run of this.#runs.values()) Object.assign(run, { ref: null, begun: false });
  }

  /**
   * A viewer has handled more. The server has one word for all of them: how far the last is.
   * @param {RunViewer} viewer
   */
  ack(viewer) {
    const run = this.#runs.get(viewer.runId);
    if (!run?.begun) return;
    const eventId = handledByAll(run.viewers);
    if (eventId > 0) this.#send({ op: 'ack', run_id: viewer.runId, event_id: eventId });
  }

  /**
   * An event of a run.
   * @param {Frame} frame
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
   * @param {Frame} frame
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
        this.#refuse(run ?? askedWith(this.#runs, frame.ref), frame);
        break;
      default:
    }
  }

  /**
   * What could not be read is told to those it is about, as far as that can be known.
   * @param {MalformedFrameError} error
   * @param {any} runId
   */
  malformed(error, runId) {
    for (const viewer of this.#runs.get(runId)?.viewers ?? this.viewers) viewer.malformed(error);
  }

  /** @param {string} runId @param {Subscription} run */
  #vacate(runId, run) {
    if (run.ref !== null) this.#send({ op: 'unsubscribe', run_id: runId });
    Object.assign(run, { ref: null, begun: false });
  }

  /** @param {string} runId @param {Subscription} run */
  #subscribe(runId, run) {
    this.#refs += 1;
    run.ref = `run-${this.#refs}`;
    run.begun = false;
    /** @type {Frame} */
    const frame = { op: 'subscribe', ref: run.ref, run_id: runId };
    const cursor = this.#cursor(run);
    if (cursor !== null) frame.last_event_id = cursor;
    if (this.#clientId !== null) frame.client_id = this.#clientId;
    this.#send(frame);
  }

  /**
   * The server knows one subscription of a run, and each viewer takes what is new to it. Who has no cursor goes on
   * after what this client has handled; without a client's name, from the start.
   * @param {Subscription} run
   */
  #cursor({ viewers }) {
    const known = [...viewers].filter((viewer) => viewer.cursor() !== null);
    if (known.length === 0) return null;
    if (known.length === viewers.size) return Math.min(...known.map((viewer) => viewer.cursor() ?? 0));
    return this.#clientId === null ? 0 : handledByAll(known);
  }

  /**
   * A reset also comes unasked, when the log has lost what is due.
   * @param {Subscription} run
   * @param {Frame} frame
   */
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

  /** @param {Subscription | undefined} run @param {Frame} frame */
  #refuse(run, { code, message }) {
    const ending = refusal({ code, message: String(message) });
    if (run === undefined || ending === null) return;
    run.ref = null;
    tell(run, (viewer) => viewer.refused(ending));
    this.fit();
  }
}

/** @param {Iterable<RunViewer>} viewers */
function handledByAll(viewers) {
  return Math.min(...[...viewers].map((viewer) => viewer.handled() ?? 0));
}
