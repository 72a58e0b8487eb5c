/**
 * Follows one run live, in any page: over WebSocket, over EventSource where that is all there is, across lost
 * connections and server restarts, without a gap and without a repeated event.
 *
 *     import { RunClient } from '/static/run-client.js';
 *     const client = new RunClient(runId);
 *     client.addEventListener('state', ({ detail }) => draw(detail));
 *     client.start();
 *
 * It dispatches CustomEvents; `detail` is:
 * - `state` {RunState}: the run changed. It never runs backwards, except after `reset`.
 * - `event` {RunEvent}: one event of the run's log; ids are contiguous from the cursor on, each exactly once.
 * - `connection` {state, transport}: `connecting`, `live`, `reconnecting`, `offline` (still trying) or `closed`.
 * - `reset` {reason, cursor}: what was known was forgotten; `state` and the events after `cursor` follow.
 * - `malformed` {reason, data}: something could not be read. Following goes on.
 * - `ended` {reason, code, message}: the last one, `finished`, `forbidden` or `gone`; the connection is closed.
 *
 * @typedef {import('./apply-event.js').RunState} RunState
 * @typedef {import('./apply-event.js').RunEvent} RunEvent
 * @typedef {import('./feeds.js').Ending} Ending
 */
import { applyEvent, emptyState, hasEnded, isTerminal, stateFromSnapshot } from './apply-event.js';
import { EventSourceFeed } from './event-source-feed.js';
import { Backoff } from './pacing.js';
import { BROWSER, TransportChoice } from './transport-choice.js';
import { WebSocketFeed } from './websocket-feed.js';

const FEEDS = { websocket: WebSocketFeed, eventsource: EventSourceFeed };
const FIRST_SIGN_MS = 10_000;
const HEARTBEAT_S = 15;
const SILENT_HEARTBEATS = 3;
const OFFLINE_AFTER_ATTEMPTS = 4;
const FINISHED = { reason: 'finished', code: '', message: '' };

export class RunClient extends EventTarget {
  #runId;
  #baseUrl;
  #clientId;
  #env;
  #state;
  #cursor;
  #choice = new TransportChoice();
  #backoff;
  #connection = 'closed';
  #feed = null;
  #brought = false;
  /** The one timer: until the silence is too long while connected, until the next attempt while not. */
  #timer = null;
  #silenceMs = HEARTBEAT_S * SILENT_HEARTBEATS * 1000;
  #returnAfterMs = 0;
  #reset = null;
  #repairedAt = null;
  #watch = null;

  /**
   * Nothing is opened before `start`.
   * @param {string} runId
   * @param {object} [options]
   * @param {object} [options.snapshot] the run as REST gave it: following goes on from there
   * @param {number} [options.lastEventId] the last event already handled, where that is known without a snapshot;
   *   over EventSource the state then only knows what comes after it
   * @param {string} [options.clientId] up to 64 characters, stable for one viewer: without a cursor, a WebSocket goes
   *   on after what this client last acknowledged
   * @param {string} [options.baseUrl] an address of the server; the page's own by default
   * @param {typeof BROWSER} [env]
   * @throws {TypeError} the snapshot is none
   */
  constructor(runId, options = {}, env = BROWSER) {
    super();
    const { snapshot = null, lastEventId = null, clientId = null, baseUrl = globalThis.location.href } = options;
    this.#runId = runId;
    this.#baseUrl = baseUrl;
    this.#clientId = clientId;
    this.#env = env;
    this.#state = snapshot === null ? emptyState(runId) : stateFromSnapshot(snapshot);
    this.#cursor = lastEventId ?? snapshot?.last_event_id ?? null;
    this.#backoff = new Backoff(env.random);
  }

  /** @returns {RunState} */
  get state() {
    return this.#state;
  }

  /** @returns {?number} the last event id handled; null: none, and nothing known of the run */
  get cursor() {
    return this.#cursor;
  }

  /** @returns {'connecting'|'live'|'reconnecting'|'offline'|'closed'} */
  get connection() {
    return this.#connection;
  }

  /** @returns {'websocket'|'eventsource'} the transport in use or to be tried next */
  get transport() {
    return this.#choice.current;
  }

  /**
   * Begin to follow; once is enough.
   * @returns {this}
   */
  start() {
    if (this.#watch !== null) return this;
    this.#watch = new AbortController();
    const { signal } = this.#watch;
    globalThis.addEventListener('online', () => this.#hurry(), { signal });
    globalThis.addEventListener('offline', () => this.#despair(), { signal });
    this.#announce('connecting');
    this.#connect();
    return this;
  }

  /** Leave for good; nothing but `connection` `closed` is dispatched after it. Twice is as good as once. */
  close() {
    this.#watch?.abort();
    this.#disconnect();
    this.#announce('closed');
  }

  get #over() {
    return this.#connection === 'closed';
  }

  #connect() {
    this.#brought = false;
    this.#await(FIRST_SIGN_MS, () => this.#stalled());
    const request = {
      baseUrl: this.#baseUrl, runId: this.#runId, cursor: this.#cursor, clientId: this.#clientId,
    };
    try {
      this.#feed = new FEEDS[this.transport](request, this.#listener, this.#env);
    } catch {
      this.#unavailable();
    }
  }

  #unavailable() {
    if (this.transport === 'eventsource') {
      this.#lost(null);
      return;
    }
    this.#choice.withoutWebSocket();
    this.#connect();
  }

  #listener = {
    alive: () => {
      this.#brought = true;
      this.#choice.worked();
      this.#await(this.#silenceMs, () => this.#stalled());
    },
    live: () => this.#announce('live'),
    pace: (seconds) => {
      if (seconds > 0) this.#silenceMs = seconds * SILENT_HEARTBEATS * 1000;
    },
    heartbeat: () => this.#backoff.reset(),
    snapshot: (start) => this.#take(start),
    resetting: ({ reason, cursor }) => {
      this.#reset = { reason, cursor, state: emptyState(this.#runId) };
    },
    event: (event) => (this.#reset === null ? this.#handle(event) : this.#rebuild(event)),
    malformed: (error) => this.#dispatch('malformed', { reason: error.message, data: error.data }),
    finished: () => {
      if (hasEnded(this.#state) || !this.#repair()) this.#end(FINISHED);
    },
    draining: (milliseconds) => {
      this.#returnAfterMs = milliseconds;
    },
    lost: (ending) => this.#lost(ending),
  };

  #take({ snapshot, cursor, reset }) {
    let state;
    try {
      state = stateFromSnapshot(snapshot);
    } catch (error) {
      this.#dispatch('malformed', { reason: error.message, data: JSON.stringify(snapshot)?.slice(0, 200) ?? '' });
      return;
    }
    if (reset !== null) {
      this.#forget({ reason: reset, cursor, state });
      return;
    }
    this.#cursor ??= cursor;
    if (state.last_event_id >= this.#state.last_event_id) this.#become(state);
  }

  /** What a reset over EventSource consists of is shown when it is whole, not while it arrives. */
  #rebuild(event) {
    this.#reset.state = applyEvent(this.#reset.state, event);
    if (event.id === null) return;
    const reset = this.#reset;
    this.#reset = null;
    this.#forget(reset);
    if (hasEnded(this.#state)) this.#end(FINISHED);
  }

  #forget({ reason, cursor, state }) {
    this.#cursor = cursor;
    this.#repairedAt = null;
    this.#dispatch('reset', { reason, cursor });
    this.#become(state);
  }

  #handle(event) {
    const cursor = this.#cursor ?? 0;
    if (event.id <= cursor) return;
    if (event.id > cursor + 1 && this.#repair()) return;
    this.#cursor = event.id;
    this.#backoff.reset();
    this.#become(applyEvent(this.#state, event));
    this.#dispatch('event', event);
    this.#feed?.ack(event.id);
    if (isTerminal(event)) this.#end(FINISHED);
  }

  /** Ask again, once, for what is missing after the cursor. False: it was asked for and did not come. */
  #repair() {
    if (this.#repairedAt === this.#cursor) return false;
    this.#repairedAt = this.#cursor;
    this.#disconnect();
    this.#announce('reconnecting');
    this.#connect();
    return true;
  }

  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#dispatch('state', state);
  }

  #stalled() {
    this.#feed?.close();
    this.#lost(null);
  }

  #lost(ending) {
    this.#feed = null;
    if (ending !== null) {
      this.#end(ending);
      return;
    }
    this.#reset = null;
    if (!this.#brought) this.#choice.missed();
    const wait = this.#returnAfterMs + this.#backoff.next();
    this.#returnAfterMs = 0;
    this.#await(wait, () => this.#connect());
    const hopeless = !this.#env.online() || this.#backoff.attempts > OFFLINE_AFTER_ATTEMPTS;
    this.#announce(hopeless ? 'offline' : 'reconnecting');
  }

  /** The network is back: no reason to wait any longer. */
  #hurry() {
    if (this.#feed !== null || this.#over) return;
    this.#announce('reconnecting');
    this.#connect();
  }

  #despair() {
    if (this.#feed === null && !this.#over) this.#announce('offline');
  }

  #end(ending) {
    if (this.#over) return;
    this.close();
    this.#emit('ended', ending);
  }

  #disconnect() {
    this.#env.clearTimeout(this.#timer);
    this.#reset = null;
    this.#feed?.close();
    this.#feed = null;
  }

  #await(ms, callback) {
    this.#env.clearTimeout(this.#timer);
    this.#timer = this.#env.setTimeout(callback, ms);
  }

  #announce(connection) {
    if (this.#connection === connection) return;
    this.#connection = connection;
    this.#emit('connection', { state: connection, transport: this.transport });
  }

  /** A listener may have closed this client a moment ago. */
  #dispatch(type, detail) {
    if (!this.#over) this.#emit(type, detail);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
