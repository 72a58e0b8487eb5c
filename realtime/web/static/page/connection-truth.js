/**
 * Says how the connection is, and claims nothing else: not after an end, not while nothing is heard. Those who listen
 * are told of a loss when it lasts, and then of its end; not of every flicker.
 *
 * @typedef {import('../run-client.js').Connection} Connection
 */
import { connectionText } from '../elements/connection-text.js';
import { setAttributes, setText } from '../elements/dom.js';
import { announce } from './notices.js';

const LASTING_MS = 2_000;
/** @type {Set<Connection['state']>} */
const LOST = new Set(['reconnecting', 'offline']);

export class ConnectionTruth {
  #place;
  #textOf;
  /** @type {number|undefined} */
  #lasting;
  #toldLost = false;

  /**
   * @param {HTMLElement} place
   * @param {(connection: Connection) => string} textOf empty where nothing is to be shown
   */
  constructor(place, textOf = connectionText) {
    this.#place = place;
    this.#textOf = textOf;
  }

  /** @param {?Connection} connection null: there is none */
  show(connection) {
    const { state, transport } = connection ?? { state: 'closed', transport: '' };
    const text = connection === null ? '' : this.#textOf(connection);
    setText(this.#place, text);
    setAttributes(this.#place, { 'data-connection': state, 'data-transport': text === '' ? '' : transport });
    this.#place.hidden = text === '';
    if (LOST.has(state)) this.#lasting ??= setTimeout(() => this.#tellLost(), LASTING_MS);
    else this.#found(state);
  }

  #tellLost() {
    if (!this.#toldLost) announce('The connection is lost. Still trying.');
    this.#toldLost = true;
  }

  /**
   * While it catches up the loss is over, and it is not back to what it was.
   * @param {Connection['state']} state
   */
  #found(state) {
    clearTimeout(this.#lasting);
    this.#lasting = undefined;
    if (state === 'catching-up') return;
    if (state === 'live' && this.#toldLost) announce('The connection is back.');
    this.#toldLost = false;
  }
}
