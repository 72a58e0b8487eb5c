/**
 * What `<agent-run>` shows, in its shadow root: drawn from a run's state, and touched only where something changed.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('../run-client.js').StepState} StepState
 * @typedef {import('../run-client.js').Connection} Connection
 * @typedef {import('../run-client.js').Ending} Ending
 *
 * @typedef {Map<string, string>} Names of agents, by their types
 */
import { overall } from '../client/overall.js';
import { cardAttributes } from '../step-look.js';
import { nameOf, withNames } from './agent-name.js';
import { connectionText } from './connection-text.js';
import { childrenBy, found, setAttributes, setChildren, setText } from './dom.js';
import { statusText } from './facts.js';
import { made } from './markup.js';

const CARD_PARTS = ['icon', 'name', 'chip', 'subtitle', 'badges', 'badge', 'bar', 'fill', 'percent'];
/** @type {import('./markup.js').Markup} */
const RUN = ['div', { class: 'run', role: 'group', 'aria-label': 'Run' },
  ['div', { class: 'head' },
    ['span', { class: 'status', part: 'status', role: 'status' }],
    ['span', { class: 'done', part: 'done' }],
    ['span', { class: 'connection', part: 'connection' }]],
  ['div', {
    class: 'overall', part: 'overall', role: 'progressbar', 'aria-label': 'Progress of the run', 'aria-valuemin': '0',
    'aria-valuemax': '100',
  },
  ['svg', { 'aria-hidden': 'true' },
    ['rect', { class: 'rail', width: '100%', height: '100%' }],
    ['rect', { class: 'fill', part: 'fill', width: '0', height: '100%' }]]],
  ['p', { class: 'banner', part: 'banner', role: 'alert', hidden: '' }],
  ['div', { class: 'cards', part: 'cards' }]];

export class RunPicture {
  #root;

  /** @param {ShadowRoot} root what it has is replaced */
  constructor(root) {
    this.#root = made(RUN);
    root.replaceChildren(this.#root);
  }

  /**
   * @param {?RunState} state null: nothing is known of the run
   * @param {?Connection} connection null: there is none
   * @param {?Ending} ending
   */
  draw(state, connection, ending) {
    this.#drawHead(state);
    this.#drawConnection(connection);
    const steps = state?.steps ?? [];
    const names = new Map(steps.map(({ agent_type: type }) => [type, nameOf(type)]));
    this.#drawBanner(state, ending, names);
    this.#drawCards(steps, names);
  }

  /** @param {?RunState} state */
  #drawHead(state) {
    const { done, total, percent } = overall(state ?? { steps: [] });
    setText(found(this.#root, '.status'), state === null ? '' : statusText(state.status));
    setText(found(this.#root, '.done'), state === null ? '' : `${done} of ${total} · ${percent} %`);
    setAttributes(found(this.#root, '.overall'), { 'aria-valuenow': String(percent) });
    setAttributes(found(this.#root, '.fill'), { width: `${percent}%` });
  }

  /** @param {?Connection} connection */
  #drawConnection(connection) {
    const place = found(this.#root, '.connection');
    setText(place, connection === null ? '' : connectionText(connection));
    setAttributes(place, { 'data-connection': connection?.state ?? null });
  }

  /** @param {?RunState} state @param {?Ending} ending @param {Names} names */
  #drawBanner(state, ending, names) {
    const refused = ending !== null && ending.reason !== 'finished' ? ending.message : null;
    const text = refused ?? withNames(state?.error_message ?? '', names);
    const place = found(this.#root, '.banner');
    // What somebody wanted is no alarm.
    setAttributes(place, { role: state?.status === 'cancelled' ? 'status' : 'alert' });
    setText(place, text);
    place.hidden = text === '';
  }

  /** @param {readonly StepState[]} steps @param {Names} names */
  #drawCards(steps, names) {
    const place = found(this.#root, '.cards');
    const known = childrenBy(place, 'stepId');
    setChildren(place, steps.map((step) => drawnCard(known.get(step.id) ?? newCard(step.id), step, names)));
  }
}

/** @param {HTMLElement} card @param {StepState} step @param {Names} names */
function drawnCard(card, step, names) {
  const attributes = cardAttributes(step, names.get(step.agent_type) ?? '');
  attributes.message = attributes.message && withNames(attributes.message, names);
  setAttributes(card, attributes);
  return card;
}

/** @param {string} stepId */
function newCard(stepId) {
  const card = document.createElement('agent-status-card');
  card.dataset.stepId = stepId;
  card.setAttribute('part', 'card');
  card.setAttribute('exportparts', CARD_PARTS.map((part) => `${part}: card-${part}`).join(', '));
  return card;
}
