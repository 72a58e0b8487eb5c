/**
 * One run on the page: drawn from what is known of it, at most once a frame, and followed to its end. Dispatches
 * `connection` when `following` or `saysLost` may have changed, and `drawn` with the run's state.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('../run-client.js').RunWatch} RunWatch
 * @typedef {import('../run-client.js').Connection} Connection
 * @typedef {import('../run-client.js').Ending} Ending
 * @typedef {import('../run-client.js').Malformed} Malformed
 * @typedef {import('./agent-names.js').AgentNames} AgentNames
 * @typedef {import('./page-data.js').PageData} PageData
 * @typedef {import('./timeline-fold.js').Timeline} Timeline
 *
 * @typedef {import('./telling.js').Telling<{connection: null, drawn: RunState}>} Telling
 */
import { emptyState, hasEnded } from '../apply-event.js';
import { Cards } from './cards.js';
import { ConnectionTruth } from './connection-truth.js';
import { clock } from '../elements/connection-text.js';
import { part, setAttributes, setText } from '../elements/dom.js';
import { Drawing } from '../elements/drawing.js';
import { elapsedMs, statusText } from '../elements/facts.js';
import { notice } from './notices.js';
import { Notifications } from './notifications.js';
import { RefreshedRun } from './refreshed-run.js';
import { RunActions } from './run-actions.js';
import { RunEnding } from './run-ending.js';
import { RunFigures } from './run-figures.js';
import { showInTab } from './tab.js';
import {
  apply as applyToTimeline, empty as emptyTimeline, fromSnapshot as timelineFromSnapshot,
} from './timeline-fold.js';
import { TimelineView } from './timeline.js';

/** @type {Set<Connection['state']>} */
const FOLLOWING = new Set(['connecting', 'catching-up', 'live']);
/** @type {Set<Connection['state']>} */
const HEARD = new Set(['catching-up', 'live']);
/** @type {Set<Connection['state']>} */
const FINE = new Set(['live', 'closed']);
const NOT_LIVE = 'Your role does not include watching live.';

export class RunView extends /** @type {Telling} */ (EventTarget) {
  #root;
  #client;
  #page;
  #mayStream;
  /** @type {RunWatch|RefreshedRun|null} */
  #watch = null;
  #state = emptyState('');
  #timeline = emptyTimeline();
  /** @type {readonly unknown[]} what the bars that stand there were drawn from */
  #drawnTimeline = [];
  /** The server's time as of which the run is known: it stands still while nothing is heard. */
  #knownAt = 0;
  #signedOut = false;
  /** @type {number|undefined} */
  #tick;
  #drawing = new Drawing(() => this.#draw());
  #cards;
  #figures;
  #track;
  #truth;
  #notifications;

  /**
   * @param {HTMLElement} root the run's section
   * @param {RunClient} client
   * @param {PageData} page
   * @param {AgentNames} names
   * @param {() => Promise<boolean>} uploaded as `RunEnding` wants it
   */
  constructor(root, client, page, names, uploaded) {
    super();
    this.#root = root;
    this.#client = client;
    this.#page = page;
    this.#mayStream = page.may_stream;
    this.#cards = new Cards(part(root, 'cards'), names);
    this.#figures = new RunFigures(root, page);
    this.#track = new TimelineView(part(root, 'timeline'), names);
    this.#truth = new ConnectionTruth(part(root, 'connection'));
    this.#notifications = new Notifications(part(root, 'notify'), page.project_name);
    /** Says how it ended, and leads away from a success. */
    this.ending = new RunEnding(part(root, 'banner'), names, uploaded);
    /** Cancels the run, and does it again. */
    this.actions = new RunActions(root, client, page);
  }

  /** True while news of a run arrive, or are about to. */
  get following() {
    return FOLLOWING.has(this.#connectionState);
  }

  /** True where it says that the connection is not what it should be, or why there is none. */
  get saysLost() {
    return this.#signedOut || !FINE.has(this.#connectionState);
  }

  get #connectionState() {
    return this.#watch?.connection?.state ?? 'closed';
  }

  /**
   * Show a run instead of the one before, and follow it to its end if it has none yet.
   * @param {RunState} state
   * @param {Timeline} [timeline] as of the same event
   */
  show(state, timeline = timelineFromSnapshot(state)) {
    this.ending.forget();
    this.#watch?.close();
    this.#state = state;
    this.#timeline = timeline;
    this.#signedOut = false;
    this.#knownAt = this.#asOf(state);
    this.#watch = hasEnded(state) ? null : this.#begin();
    this.#drawing.now();
    this.ending.draw(state);
    this.#root.hidden = false;
    this.#showConnection(this.#watch?.connection ?? null);
  }

  /** Let go of the run, if one is followed; what is shown of it stays, and is not claimed to be news. */
  rest() {
    if (this.#watch === null) return;
    this.#watch.close();
    this.#watch = null;
    part(this.#root, 'not-live').hidden = true;
    this.#showConnection(null);
  }

  /** @param {string} text how long it usually takes; empty: not known */
  expect(text) {
    this.#figures.expect(text);
  }

  /** @param {RunState} state */
  #asOf(state) {
    return Date.parse(state.server_time ?? '') || this.#client.now();
  }

  #begin() {
    part(this.#root, 'not-live').hidden = this.#mayStream;
    this.#sayRefreshed(null);
    return this.#mayStream ? this.#live() : this.#refreshed();
  }

  #live() {
    const watch = this.#client.watch(this.#state.id, { snapshot: this.#state });
    watch.addEventListener('event', ({ detail }) => { this.#timeline = applyToTimeline(this.#timeline, detail); });
    watch.addEventListener('reset', ({ detail }) => { this.#timeline = timelineFromSnapshot(detail.state); });
    watch.addEventListener('state', ({ detail }) => this.#take(detail));
    watch.addEventListener('connection', ({ detail }) => watch === this.#watch && this.#showConnection(detail));
    watch.addEventListener('malformed', ({ detail }) => reportMalformed(detail));
    watch.addEventListener('ended', ({ detail }) => this.#ended(detail));
    return watch;
  }

  #refreshed() {
    const run = new RefreshedRun(this.#client, this.#state);
    run.addEventListener('state', ({ detail }) => {
      this.#knownAt = this.#asOf(detail);
      this.#timeline = timelineFromSnapshot(detail);
      this.#take(detail);
    });
    run.addEventListener('late', ({ detail }) => this.#sayRefreshed(detail));
    run.addEventListener('ended', ({ detail }) => this.#refreshedToItsEnd(detail));
    return run;
  }

  /** @param {?number} lateSince milliseconds since 1970; null: it is not late */
  #sayRefreshed(lateSince) {
    const how = lateSince === null ? 'This is refreshed every few seconds.' : `Not refreshed since ${clock(lateSince)}, still trying.`;
    setText(part(this.#root, 'not-live'), `${NOT_LIVE} ${how}`);
  }

  /** @param {RunState} state */
  #take(state) {
    this.#state = state;
    this.#drawing.ask();
  }

  /** @param {?Connection} connection null: there is none */
  #showConnection(connection) {
    this.#truth.show(connection);
    this.#drawing.ask();
    this.dispatchEvent(new CustomEvent('connection'));
  }

  #draw() {
    const state = this.#state;
    if (HEARD.has(this.#connectionState)) this.#knownAt = this.#client.now();
    setAttributes(this.#root, {
      'data-run-id': state.id, 'data-status': state.status, 'data-last-event-id': String(state.last_event_id),
    });
    setText(part(this.#root, 'id'), state.id.slice(0, 8));
    setText(part(this.#root, 'status'), statusText(state.status));
    setAttributes(part(this.#root, 'artifacts'), { href: this.#artifacts });
    this.#cards.draw(state.steps);
    this.#figures.draw(state, this.#knownAt);
    this.#drawTimeline(state);
    this.actions.draw(state);
    this.#notifications.offer(state);
    showInTab(state, this.#page.project_name, !hasEnded(state) && this.#offline);
    this.dispatchEvent(new CustomEvent('drawn', { detail: state }));
    this.#drawAgainAtNextSecond(state);
  }

  /**
   * Its bars grow by the second: to lay them out for each event costs as much as all cards.
   * @param {RunState} state
   */
  #drawTimeline(state) {
    const second = Math.floor((elapsedMs(state, this.#knownAt) ?? 0) / 1000);
    const drawn = [this.#timeline, state.id, state.status, second];
    if (drawn.every((value, at) => value === this.#drawnTimeline[at])) return;
    this.#drawnTimeline = drawn;
    this.#track.draw(this.#timeline, state, this.#knownAt);
  }

  /** @param {RunState} state */
  #drawAgainAtNextSecond(state) {
    clearTimeout(this.#tick);
    const elapsed = elapsedMs(state, this.#knownAt);
    if (elapsed === null || hasEnded(state) || !HEARD.has(this.#connectionState)) return;
    this.#tick = setTimeout(() => this.#drawing.ask(), 1000 - (elapsed % 1000));
  }

  get #offline() {
    return this.#watch === null || this.#connectionState === 'offline';
  }

  get #artifacts() {
    return `/projects/${this.#page.project_id}/artifacts?run_id=${this.#state.id}`;
  }

  /**
   * Nothing is asked for any more when this is called, so no connection is claimed either.
   * @param {Ending} ending
   */
  #ended(ending) {
    if (ending.code === 'FORBIDDEN') this.#mayStream = false;
    this.#watch = ending.code === 'FORBIDDEN' ? this.#begin() : null;
    this.#showConnection(null);
    this.#drawing.now();
    if (ending.reason === 'finished') {
      this.ending.tell(this.#state, this.#artifacts);
      this.#notifications.tell(this.#state);
    } else if (this.#mayStream) {
      this.#refuse(ending);
    }
  }

  /**
   * Nobody has watched it live, so nobody is led away.
   * @param {Ending} ending
   */
  #refreshedToItsEnd(ending) {
    this.#watch = null;
    part(this.#root, 'not-live').hidden = true;
    this.#drawing.now();
    if (ending.reason === 'finished') {
      this.ending.draw(this.#state);
      this.#notifications.tell(this.#state);
    } else {
      this.#refuse(ending);
    }
  }

  /** @param {Ending} ending */
  #refuse(ending) {
    this.ending.refuse(ending);
    this.#signedOut = ending.code === 'NOT_AUTHENTICATED';
    this.dispatchEvent(new CustomEvent('connection'));
  }
}

/** @param {Malformed} malformed */
function reportMalformed({ reason, data }) {
  console.warn(`An update of the run could not be read: ${reason}`, data);
  notice('malformed', 'An update of this run could not be read. The run is still being followed.');
}
