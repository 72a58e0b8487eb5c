/**
 * What a run is in figures: how far, since when, how long it usually takes, and what it used.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 */
import { overall } from '../client/overall.js';
import { found, part, setAttributes, setText } from '../elements/dom.js';
import { costText, durationText, elapsedMs, tokensText } from '../elements/facts.js';

const NOT_STARTED = '–';

export class RunFigures {
  #root;
  #price;

  /**
   * @param {HTMLElement} root the run's section
   * @param {{price_per_mtok: ?number, currency: string}} price
   */
  constructor(root, price) {
    this.#root = root;
    this.#price = price;
  }

  /**
   * @param {RunState} state
   * @param {number} nowMs of the server's clock
   */
  draw(state, nowMs) {
    const { done, total, percent } = overall(state);
    const elapsed = elapsedMs(state, nowMs);
    this.#say('done', `${done} of ${total} · ${percent} %`);
    this.#say('elapsed', elapsed === null ? NOT_STARTED : durationText(elapsed));
    this.#say('tokens', tokensText(state.total_tokens));
    this.#sayIfKnown('cost', costText(state.total_tokens, this.#price.price_per_mtok, this.#price.currency));
    const bar = part(this.#root, 'overall');
    setAttributes(bar, { 'aria-valuenow': String(percent) });
    setAttributes(found(bar, '.fill'), { width: `${percent}%` });
  }

  /** @param {string} text empty: not known */
  expect(text) {
    this.#sayIfKnown('expected', text);
  }

  /** @param {string} name @param {string} text */
  #say(name, text) {
    setText(part(this.#root, name), text);
  }

  /** @param {string} name @param {string} text empty: not known */
  #sayIfKnown(name, text) {
    this.#say(name, text);
    part(this.#root, `${name}-row`).hidden = text === '';
  }
}
