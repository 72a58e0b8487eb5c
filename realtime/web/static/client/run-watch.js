/**
 * One run, followed: what `client.watch` gives. `run-client.d.ts` has the contract.
 *
 * @typedef {import('../run-client.js').RunWatch} Contract
 * @typedef {import('../run-client.js').Connection} Connection
 * @typedef {import('../run-client.js').Ending} Ending
 * @typedef {import('../run-client.js').RunEvent} RunEvent
 * @typedef {import('../run-client.js').ResetPart} ResetPart
 * @typedef {import('./run-log.js').Start} Start
 * @typedef {import('./run-reader.js').Item} Item
 *
 * @typedef {object} RunViewer one who follows a run, as the line sees it; it may leave whenever it is told something
 * @property {string} runId
 * @property {() => ?number} cursor everything up to it is here; null: nothing, not even from an earlier client of this name
 * @property {() => ?number} handled everything up to it has been handled; null: nothing
 * @property {() => ?number} folded everything up to it is in the state; null: nothing is known
 * @property {(start: Start) => void} take here the subscription begins
 * @property {() => void} streaming here a subscription begins of which no more is known
 * @property {(event: RunEvent | ResetPart) => boolean} event true: it was progress
 * @property {(reset: {reason: string, cursor: number}) => void} resetting events without id follow, then one with the
 *   id `cursor`: together they are the state
 * @property {(error: import('./frames.js').MalformedFrameError) => void} malformed
 * @property {() => void} replayed every event that there was when the stream began has been sent
 * @property {() => void} finished every event of the run has been sent
 * @property {(ending: Ending) => void} refused
 * @property {(outage: import('./link.js').Outage) => void} lost there is no connection; another will come
 * @property {() => void} waiting there is no place for it now; there will be
 */
import { isTerminal } from '../apply-event.js';
import { ConnectionState } from './connection-state.js';
import { FINISHED, invalidId } from './endings.js';
import { MalformedFrameError } from './frames.js';
import { AckPacer } from './pacing.js';
import { RunLog } from './run-log.js';
import { RunReader } from './run-reader.js';
import { isUuid } from './uuid.js';

/** @implements {Contract} */
export class RunWatch extends EventTarget {
  #line;
  #onClose;
  #log;
  #acks;
  #connection;
  #shown;
  /** @type {?RunReader} */
  #reader = null;
  #handled;
  #carried = false;
  #paused = false;
  #complete = false;
  #closed = false;
  /** @type {?Ending} */
  #ending = null;
  /** @type {(ending: ?Ending) => void} */
  #settle = () => {};
  /** @type {Promise<?Ending>} */
  #ended = new Promise((resolve) => {
    this.#settle = resolve;
  });

  /**
   * @param {string} runId
   * @param {import('../run-client.js').WatchOptions} known
   * @param {import('./line.js').Line} line
   * @param {import('./environment.js').Environment} env
   * @param {(watch: RunWatch) => void} onClose
   * @throws {TypeError} what is said to be known cannot be
   */
  constructor(runId, known, line, env, onClose) {
    super();
    this.#viewer.runId = runId;
    this.#line = line;
    this.#onClose = onClose;
    this.#log = new RunLog(runId, known, this.#logOwner);
    this.#handled = this.#log.cursor;
    this.#connection = new ConnectionState(env.now);
    this.#acks = new AckPacer(() => line.ack(this.#viewer), env);
    if (isUuid(runId)) line.follow(this.#viewer);
    else queueMicrotask(() => this.#end(invalidId('run', runId)));
    this.#shown = this.#mark;
  }

  get runId() {
    return this.#viewer.runId;
  }

  get state() {
    return this.#log.state;
  }

  get cursor() {
    return this.#handled;
  }

  /** @returns {Connection} */
  get connection() {
    const { transport } = this.#line;
    return { ...this.#connection.known, transport, cursor: this.#handled, head: this.#log.head };
  }

  get ending() {
    return this.#ending;
  }

  get ended() {
    return this.#ended;
  }

  close() {
    if (this.#closed) return;
    this.#leave();
    this.#reader?.close();
    this.#settle(null);
  }

  /** There is one for all loops: what one of them has taken the others do not get. */
  [Symbol.asyncIterator]() {
    if (this.#reader === null) {
      this.#reader = new RunReader(this.#readerOwner);
      if (this.#closed) this.#reader.end(this.#ending);
    }
    return this.#reader;
  }

  /** @type {RunViewer} */
  #viewer = {
    runId: '',
    cursor: () => this.#log.cursor,
    handled: () => this.#handled,
    folded: () => this.#log.folded,
    take: (start) => this.#take(start),
    streaming: () => this.#begin(),
    event: (event) => this.#receive(event),
    resetting: (reset) => this.#log.resetting(reset),
    malformed: (error) => this.#dispatch('malformed', { reason: error.message, data: error.data }),
    replayed: () => {
      this.#log.settle();
      this.#show();
    },
    finished: () => {
      if (!this.#log.ended && this.#log.repair()) return;
      this.#log.settle();
      this.#finish();
    },
    refused: (ending) => this.#end(ending),
    lost: (outage) => this.#lose(() => this.#connection.lose(outage)),
    waiting: () => this.#lose(() => this.#connection.become('connecting')),
  };

  /** @type {import('./run-log.js').LogOwner} */
  #logOwner = {
    changed: (state) => this.#dispatch('state', state),
    happened: (event) => this.#deliver('event', event),
    forgotten: (reset) => this.#deliver('reset', reset),
    missing: () => {
      this.#carried = false;
      this.#line.follow(this.#viewer);
    },
  };

  /** @type {import('./run-reader.js').ReaderOwner} */
  #readerOwner = {
    handled: (item) => {
      this.#handle(item);
      if (this.#complete) this.#finish();
    },
    drained: () => this.#resume(),
    left: () => this.close(),
  };

  /** @param {Start} start */
  #take(start) {
    try {
      this.#log.take(start);
    } catch (error) {
      this.#viewer.malformed(MalformedFrameError.from(error, JSON.stringify(start.snapshot) ?? ''));
    }
    this.#handled ??= this.#log.cursor;
    this.#begin();
  }

  #begin() {
    this.#log.breakOff();
    this.#carried = true;
    this.#acks.repeat();
    this.#show();
  }

  /** @param {RunEvent | ResetPart} event */
  #receive(event) {
    if (this.#reader?.full) {
      this.#pause();
      return false;
    }
    this.#carried = true;
    const progress = this.#log.add(event);
    if (progress && isTerminal(event)) this.#finish();
    this.#show();
    return progress;
  }

  /** @param {'event'|'reset'} type @param {Item} item */
  #deliver(type, item) {
    this.#dispatch(type, item);
    if (this.#closed) return;
    if (this.#reader === null) this.#handle(item);
    else this.#reader.add(item);
  }

  /** @param {Item} item */
  #handle(item) {
    const reset = item.type === 'reset';
    this.#handled = reset ? item.cursor : item.id;
    if (reset) this.#acks.forget();
    this.#acks.add(this.#handled);
    this.#show();
  }

  /** Nothing is kept for a consumer that is too slow but its place in the log. */
  #pause() {
    this.#paused = true;
    this.#line.pause(this.#viewer);
    this.#show();
  }

  #resume() {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    this.#carried = false;
    this.#line.follow(this.#viewer);
  }

  /** Everything has arrived; it is over when all of that has been handled. */
  #finish() {
    this.#complete = true;
    if (this.#reader === null || this.#reader.idle) this.#end(FINISHED);
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#closed) return;
    this.#ending = ending;
    this.#leave();
    this.#reader?.end(ending);
    this.#emit('ended', ending);
    this.#settle(ending);
  }

  #leave() {
    this.#closed = true;
    this.#acks.close();
    this.#line.leave(this.#viewer);
    this.#onClose(this);
    this.#connection.become('closed');
    this.#emit('connection', this.connection);
  }

  /** Once everything is here, it does not matter whether there is a connection. @param {() => void} say */
  #lose(say) {
    this.#carried = false;
    this.#log.breakOff();
    if (this.#complete) return;
    say();
    this.#show();
  }

  #show() {
    if (this.#closed) return;
    if (this.#carried) this.#connection.become(this.#behind ? 'catching-up' : 'live');
    const mark = this.#mark;
    if (mark === this.#shown) return;
    this.#shown = mark;
    this.#emit('connection', this.connection);
  }

  get #behind() {
    return this.#paused || (this.#log.folded ?? 0) < (this.#log.head ?? 0);
  }

  /** What is worth telling when it changes: how far the watch is only while it catches up. */
  get #mark() {
    const { state, transport, reason, cursor, head } = this.connection;
    return [state, transport, reason, ...(state === 'catching-up' ? [cursor, head] : [])].join();
  }

  /**
   * A listener may have closed this watch a moment ago.
   * @param {string} type
   * @param {unknown} detail
   */
  #dispatch(type, detail) {
    if (!this.#closed) this.#emit(type, detail);
  }

  /** @param {string} type @param {unknown} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
