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
const LOST = new Set(['reconnecting', 'offline']);

export class ConnectionTruth {
  #place;
  #lasting = null;
  #toldLost = false;

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
  }

  /** @param {Connection} connection */
  show(connection) {
    const text = connectionText(connection);
    setText(this.#place, text);
    const transport = text === '' ? '' : connection.transport;
    setAttributes(this.#place, { 'data-connection': connection.state, 'data-transport': transport });
    this.#place.hidden = text === '';
    if (LOST.has(connection.state)) this.#lasting ??= setTimeout(() => this.#tellLost(), LASTING_MS);
    else this.#found(connection.state);
  }

  #tellLost() {
    if (!this.#toldLost) announce('The connection is lost. Still trying.');
    this.#toldLost = true;
  }

  /** While it catches up the loss is over, and it is not back to what it was. */
  #found(state) {
    clearTimeout(this.#lasting);
    this.#lasting = null;
    if (state === 'catching-up') return;
    if (state === 'live' && this.#toldLost) announce('The connection is back.');
    this.#toldLost = false;
  }
}
