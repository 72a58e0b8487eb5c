/**
 * One run on the page: its cards, how the connection is, and how it ended. Dispatches `connection` when `following`
 * may have changed, and `ended` with the run's state when it came to its end while being followed.
 *
 * @typedef {import('./apply-event.js').RunState} RunState
 */
import './agent-status-card.js';
import { hasEnded } from './apply-event.js';
import { announce, notice, signInLink, toast } from './notices.js';
import { RunClient } from './run-client.js';
import { lookOf } from './step-look.js';

const SUCCESS = 'Agent pipeline completed successfully!';
const NAVIGATE_MS = 1_500;
const RUN_STATUS = {
  queued: 'Queued', running: 'Running', completed: 'Completed', failed: 'Failed', cancelled: 'Cancelled',
};
const CONNECTION = {
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Reconnecting…',
  offline: 'Offline, still trying…',
};
const FOLLOWING = new Set(['connecting', 'live']);
const NOT_FOLLOWED = {
  NOT_AUTHENTICATED: 'You are no longer signed in.',
  FORBIDDEN: 'Your role in this project does not include watching runs live; this is the run as the page found it.',
  RUN_NOT_FOUND: 'This run is no longer there.',
};

export class RunView extends EventTarget {
  #root;
  #projectId;
  #names;
  #clientId;
  #client = null;
  #shown = null;
  #navigation = null;

  /**
   * @param {HTMLElement} root the run's section
   * @param {string} projectId
   * @param {Object<string, string>} names of the agents, by type
   * @param {string} clientId of this tab
   */
  constructor(root, projectId, names, clientId) {
    super();
    this.#root = root;
    this.#projectId = projectId;
    this.#names = names;
    this.#clientId = clientId;
  }

  /** True while news of a run arrive, or are about to. */
  get following() {
    return FOLLOWING.has(this.#client?.connection);
  }

  /**
   * Show a run instead of the one before, and follow it to its end if it has none yet.
   * @param {object} snapshot as REST gave it
   */
  follow(snapshot) {
    this.leave();
    this.#root.hidden = false;
    this.#part('id').textContent = snapshot.id.slice(0, 8);
    this.#part('artifacts').href = this.#artifacts(snapshot.id);
    if (hasEnded(snapshot)) {
      this.#draw(snapshot);
      this.#drawEnding(snapshot);
      return;
    }
    const client = new RunClient(snapshot.id, { snapshot, clientId: this.#clientId });
    this.#client = client;
    this.#draw(client.state);
    client.addEventListener('state', ({ detail }) => this.#draw(detail));
    client.addEventListener('connection', ({ detail }) => this.#drawConnection(detail));
    client.addEventListener('malformed', ({ detail }) => this.#reportMalformed(detail));
    client.addEventListener('ended', ({ detail }) => this.#ended(detail));
    client.start();
  }

  /** Stop following and show no run. */
  leave() {
    clearTimeout(this.#navigation);
    this.#client?.close();
    this.#client = null;
    this.#shown = null;
    this.#root.hidden = true;
    this.#part('cards').replaceChildren();
    this.#banner(null);
    this.#drawConnection({ state: 'closed' });
  }

  #part(name) {
    return this.#root.querySelector(`[data-part="${name}"]`);
  }

  #artifacts(runId) {
    return `/projects/${this.#projectId}/artifacts?run_id=${runId}`;
  }

  #draw(state) {
    const cards = this.#part('cards');
    const known = new Map([...cards.children].map((card) => [card.dataset.stepId, card]));
    const drawn = state.steps.map((step) => this.#card(known.get(step.id), step));
    if (drawn.length !== cards.children.length || drawn.some((card, at) => card !== cards.children[at])) {
      cards.replaceChildren(...drawn);
    }
    this.#part('status').textContent = RUN_STATUS[state.status] ?? state.status;
    this.#root.dataset.status = state.status;
    this.#root.dataset.lastEventId = String(state.last_event_id);
    this.#shown = state;
  }

  #card(card, step) {
    const shown = card ?? document.createElement('agent-status-card');
    const name = this.#names[step.agent_type] ?? step.agent_type;
    const { status, chip, paused, label, message } = lookOf(step);
    if (card && card.status !== status) announce(`${name}: ${status}`);
    const attributes = {
      'agent-type': step.agent_type,
      name,
      status,
      chip,
      progress: String(step.progress_pct),
      label,
      message: this.#named(message),
    };
    for (const [attribute, value] of Object.entries(attributes)) {
      if (shown.getAttribute(attribute) !== value) shown.setAttribute(attribute, value);
    }
    shown.toggleAttribute('paused', paused);
    shown.dataset.stepId = step.id;
    return shown;
  }

  #drawConnection({ state, transport = '' }) {
    const place = this.#part('connection');
    place.dataset.connection = state;
    place.dataset.transport = transport;
    place.textContent = CONNECTION[state] ?? '';
    place.hidden = place.textContent === '';
    this.dispatchEvent(new CustomEvent('connection'));
  }

  #reportMalformed({ reason, data }) {
    console.warn(`An update of the run could not be read: ${reason}`, data);
    notice('malformed', 'An update of this run could not be read. The run is still being followed.');
  }

  /** The stream is closed already when this is called. */
  #ended({ reason, code, message }) {
    this.#client = null;
    if (reason === 'finished') this.#finished(this.#shown);
    else this.#banner(NOT_FOLLOWED[code] ?? message, code === 'NOT_AUTHENTICATED');
    this.dispatchEvent(new CustomEvent('ended', { detail: this.#shown }));
  }

  #finished(state) {
    if (state.status !== 'completed') {
      this.#drawEnding(state);
      return;
    }
    toast(SUCCESS);
    this.#navigation = setTimeout(() => location.assign(this.#artifacts(state.id)), NAVIGATE_MS);
  }

  #drawEnding(state) {
    if (state.status === 'completed') return;
    const said = this.#named(state.error_message ?? '');
    this.#banner(said || `The run ${state.status === 'cancelled' ? 'was cancelled' : 'failed'}.`);
  }

  /** What the server says of an agent's end, `qa_consultant failed: …`, with the name that the agent's card has. */
  #named(message) {
    const agents = Object.entries(this.#names);
    return agents.reduce((said, [type, name]) => said.replaceAll(`${type} failed`, `${name} failed`), message);
  }

  #banner(text, signIn = false) {
    const place = this.#part('banner');
    place.hidden = text === null;
    place.textContent = text ?? '';
    if (signIn) place.append(' ', signInLink());
  }
}
