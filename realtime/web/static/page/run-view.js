/**
 * One run on the page: drawn from what is known of it, at most once a frame, and followed to its end. Dispatches
 * `connection` when `following` may have changed, `drawn` with the run's state, and `ended` with it when it was seen to end.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('./agent-names.js').AgentNames} AgentNames
 * @typedef {import('./timeline-fold.js').Timeline} Timeline
 */
import { hasEnded } from '../apply-event.js';
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
import { apply as applyToTimeline, fromSnapshot as timelineFromSnapshot } from './timeline-fold.js';
import { TimelineView } from './timeline.js';

const FOLLOWING = new Set(['connecting', 'catching-up', 'live']);
const HEARD = new Set(['catching-up', 'live']);
const NOT_LIVE = 'Your role does not include watching live.';
const CLOSED = { state: 'closed', transport: '' };

export class RunView extends EventTarget {
  #root;
  #client;
  #page;
  #mayStream;
  #watch = null;
  #state = null;
  #timeline = [];
  /** What the bars that stand there were drawn from. */
  #drawnTimeline = [];
  /** The server's time as of which the run is known: it stands still while nothing is heard. */
  #knownAt = 0;
  #tick = null;
  #drawing = new Drawing(() => this.#draw());
  #cards;
  #figures;
  #track;
  #truth;
  #ending;
  #notifications;

  /**
   * @param {HTMLElement} root the run's section
   * @param {RunClient} client
   * @param {object} page what the server gave the page
   * @param {AgentNames} names
   */
  constructor(root, client, page, names) {
    super();
    this.#root = root;
    this.#client = client;
    this.#page = page;
    this.#mayStream = page.may_stream;
    this.#cards = new Cards(part(root, 'cards'), names);
    this.#figures = new RunFigures(root, page);
    this.#track = new TimelineView(part(root, 'timeline'), names);
    this.#truth = new ConnectionTruth(part(root, 'connection'));
    this.#ending = new RunEnding(part(root, 'banner'), names);
    this.#notifications = new Notifications(part(root, 'notify'), page.project_name);
    /** Cancels the run, and does it again. */
    this.actions = new RunActions(root, client, page);
  }

  /** True while news of a run arrive, or are about to. */
  get following() {
    return FOLLOWING.has(this.#watch?.connection.state);
  }

  /**
   * Show a run instead of the one before, and follow it to its end if it has none yet.
   * @param {RunState} state
   * @param {Timeline} [timeline] as of the same event
   */
  show(state, timeline = timelineFromSnapshot(state)) {
    this.#ending.forget();
    this.#watch?.close();
    this.#watch = null;
    this.#state = state;
    this.#timeline = timeline;
    this.#knownAt = Date.parse(state.server_time ?? '') || this.#client.now();
    if (!hasEnded(state)) this.#begin();
    this.#drawing.now();
    this.#ending.draw(state);
    this.#root.hidden = false;
    this.#showConnection(this.#watch?.connection ?? CLOSED);
  }

  /** Another run is about to be begun: nobody is led away any more. */
  stay() {
    this.#ending.forget();
  }

  /** @param {string} text how long it usually takes; empty: not known */
  expect(text) {
    this.#figures.expect(text);
  }

  #begin() {
    part(this.#root, 'not-live').hidden = this.#mayStream;
    this.#sayRefreshed(null);
    this.#watch = this.#mayStream ? this.#live() : this.#refreshed();
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
      this.#knownAt = Date.parse(detail.server_time);
      this.#timeline = timelineFromSnapshot(detail);
      this.#take(detail);
    });
    run.addEventListener('late', ({ detail }) => this.#sayRefreshed(detail));
    run.addEventListener('ended', ({ detail }) => this.#refreshedToItsEnd(detail));
    return run;
  }

  #sayRefreshed(lateSince) {
    const how = lateSince === null ? 'This is refreshed every few seconds.' : `Not refreshed since ${clock(lateSince)}, still trying.`;
    setText(part(this.#root, 'not-live'), `${NOT_LIVE} ${how}`);
  }

  #take(state) {
    this.#state = state;
    this.#drawing.ask();
  }

  #showConnection(connection) {
    this.#truth.show(connection);
    this.#drawing.ask();
    this.dispatchEvent(new CustomEvent('connection'));
  }

  #draw() {
    const state = this.#state;
    if (HEARD.has(this.#watch?.connection.state)) this.#knownAt = this.#client.now();
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

  /** Its bars grow by the second: to lay them out for each event costs as much as all cards. */
  #drawTimeline(state) {
    const second = Math.floor((elapsedMs(state, this.#knownAt) ?? 0) / 1000);
    const drawn = [this.#timeline, state.id, state.status, second];
    if (drawn.every((value, at) => value === this.#drawnTimeline[at])) return;
    this.#drawnTimeline = drawn;
    this.#track.draw(this.#timeline, state, this.#knownAt);
  }

  #drawAgainAtNextSecond(state) {
    clearTimeout(this.#tick);
    if (state.started_at === null || hasEnded(state) || !HEARD.has(this.#watch?.connection.state)) return;
    this.#tick = setTimeout(() => this.#drawing.ask(), 1000 - (elapsedMs(state, this.#knownAt) % 1000));
  }

  get #offline() {
    return this.#watch === null || this.#watch.connection.state === 'offline';
  }

  get #artifacts() {
    return `/projects/${this.#page.project_id}/artifacts?run_id=${this.#state.id}`;
  }

  /** Nothing is asked for any more when this is called, so no connection is claimed either. */
  #ended(ending) {
    this.#watch = null;
    if (ending.code === 'FORBIDDEN') {
      this.#mayStream = false;
      this.#begin();
    }
    this.#showConnection(CLOSED);
    this.#drawing.now();
    if (ending.reason === 'finished') {
      this.dispatchEvent(new CustomEvent('ended', { detail: this.#state }));
      this.#ending.tell(this.#state, this.#artifacts);
      this.#notifications.tell(this.#state);
    } else if (this.#mayStream) {
      this.#ending.refuse(ending);
    }
  }

  /** Nobody has watched it live, so nobody is led away. */
  #refreshedToItsEnd(ending) {
    this.#watch = null;
    part(this.#root, 'not-live').hidden = true;
    this.#drawing.now();
    if (ending.reason === 'finished') this.#ending.draw(this.#state);
    else this.#ending.refuse(ending);
  }
}

function reportMalformed({ reason, data }) {
  console.warn(`An update of the run could not be read: ${reason}`, data);
  notice('malformed', 'An update of this run could not be read. The run is still being followed.');
}
