/**
 * What `<agent-run>` shows, in its shadow root: drawn from a run's state, and touched only where something changed.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('../run-client.js').Connection} Connection
 * @typedef {import('../run-client.js').Ending} Ending
 */
import { cardAttributes } from '../step-look.js';
import { nameOf } from './agent-name.js';
import { connectionText } from './connection-text.js';
import { setAttributes, setChildren, setText } from './dom.js';
import { overall, statusText } from './facts.js';

const CARD_PARTS = ['icon', 'name', 'chip', 'subtitle', 'badges', 'badge', 'bar', 'fill', 'percent'];
const MARKUP = `
<div class="run" role="group" aria-label="Run">
  <div class="head">
    <span class="status" part="status" role="status"></span>
    <span class="done" part="done"></span>
    <span class="connection" part="connection"></span>
  </div>
  <div class="overall" part="overall" role="progressbar" aria-label="Progress of the run" aria-valuemin="0" aria-valuemax="100">
    <svg aria-hidden="true"><rect class="rail" width="100%" height="100%"/><rect class="fill" part="fill" width="0" height="100%"/></svg>
  </div>
  <p class="banner" part="banner" role="alert" hidden></p>
  <div class="cards" part="cards"></div>
</div>`;

export class RunPicture {
  #root;

  /** @param {ShadowRoot} root what it has is replaced */
  constructor(root) {
    const made = document.createElement('template');
    made.innerHTML = MARKUP;
    root.replaceChildren(made.content);
    this.#root = root.querySelector('.run');
  }

  /**
   * @param {?RunState} state null: nothing is known of the run
   * @param {?Connection} connection null: there is none
   * @param {?Ending} ending
   */
  draw(state, connection, ending) {
    this.#drawHead(state);
    this.#drawConnection(connection);
    this.#drawBanner(state, ending);
    this.#drawCards(state?.steps ?? []);
  }

  #drawHead(state) {
    const { done, total, percent } = overall(state ?? { steps: [] });
    setText(this.#part('.status'), state === null ? '' : statusText(state.status));
    setText(this.#part('.done'), state === null ? '' : `${done} of ${total} · ${percent} %`);
    setAttributes(this.#part('.overall'), { 'aria-valuenow': String(percent) });
    setAttributes(this.#part('.fill'), { width: `${percent}%` });
  }

  #drawConnection(connection) {
    const place = this.#part('.connection');
    setText(place, connection === null ? '' : connectionText(connection));
    setAttributes(place, { 'data-connection': connection?.state ?? null });
  }

  #drawBanner(state, ending) {
    const refused = ending !== null && ending.reason !== 'finished' ? ending.message : null;
    const text = refused ?? state?.error_message ?? '';
    const place = this.#part('.banner');
    setText(place, text);
    place.hidden = text === '';
  }

  #drawCards(steps) {
    const place = this.#part('.cards');
    const known = new Map([...place.children].map((card) => [card.dataset.stepId, card]));
    setChildren(place, steps.map((step) => drawnCard(known.get(step.id) ?? newCard(step.id), step)));
  }

  #part(selector) {
    return this.#root.querySelector(selector);
  }
}

function drawnCard(card, step) {
  setAttributes(card, cardAttributes(step, nameOf(step.agent_type)));
  return card;
}

function newCard(stepId) {
  const card = document.createElement('agent-status-card');
  card.dataset.stepId = stepId;
  card.setAttribute('part', 'card');
  card.setAttribute('exportparts', CARD_PARTS.map((part) => `${part}: card-${part}`).join(', '));
  return card;
}
