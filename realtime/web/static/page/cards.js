/**
 * A run's cards, one for each step; those that the server drew are taken over.
 *
 * @typedef {import('../run-client.js').StepState} StepState
 * @typedef {import('./agent-names.js').AgentNames} AgentNames
 */
import '../agent-status-card.js';
import { cardAttributes } from '../step-look.js';
import { childrenBy, setAttributes, setChildren } from '../elements/dom.js';
import { announce } from './notices.js';

export class Cards {
  #place;
  #names;

  /**
   * @param {HTMLElement} place
   * @param {AgentNames} names
   */
  constructor(place, names) {
    this.#place = place;
    this.#names = names;
  }

  /** @param {readonly StepState[]} steps */
  draw(steps) {
    const known = childrenBy(this.#place, 'stepId');
    setChildren(this.#place, steps.map((step) => this.#card(known.get(step.id), step)));
  }

  /** @param {HTMLElement|undefined} known @param {StepState} step */
  #card(known, step) {
    const name = this.#names.of(step.agent_type);
    const attributes = cardAttributes(step, name);
    attributes.message = attributes.message && this.#names.within(attributes.message);
    if (known && ['status', 'chip'].some((said) => known.getAttribute(said) !== attributes[said])) {
      announce(`${name}: ${(attributes.chip ?? attributes.status ?? '').toLowerCase()}`);
    }
    const card = known ?? document.createElement('agent-status-card');
    card.dataset.stepId = step.id;
    setAttributes(card, attributes);
    return card;
  }
}
