/**
 * Reads `text/event-stream` as https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 * says, from pieces of text that may be cut anywhere. Pure. `retry` is not heard: the waits are the client's own.
 *
 * @typedef {object} Message
 * @property {string} type
 * @property {string} data
 * @property {string} lastEventId of this message, or else of the one before
 */

const LINE_END = /\r\n|\r|\n/g;
const BYTE_ORDER_MARK = '\uFEFF';

export class SseParser {
  #deliver;
  #rest = '';
  #begun = false;
  #afterCarriageReturn = false;
  #type = '';
  /** @type {string[]} */
  #data = [];
  #lastEventId = '';

  /** @param {(message: Message) => void} deliver */
  constructor(deliver) {
    this.#deliver = deliver;
  }

  /** @param {string} text */
  push(text) {
    if (text === '') return;
    let piece = text;
    if (!this.#begun && piece.startsWith(BYTE_ORDER_MARK)) piece = piece.slice(1);
    this.#begun = true;
    if (this.#afterCarriageReturn && piece.startsWith('\n')) piece = piece.slice(1);
    this.#afterCarriageReturn = text.endsWith('\r');
    const lines = (this.#rest + piece).split(LINE_END);
    this.#rest = lines.pop() ?? '';
    lines.forEach((line) => this.#line(line));
  }

  /** @param {string} line */
  #line(line) {
    if (line === '') {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1);
    this.#field(name, value.startsWith(' ') ? value.slice(1) : value);
  }

  /** @param {string} name @param {string} value */
  #field(name, value) {
    if (name === 'data') this.#data.push(value);
    else if (name === 'event') this.#type = value;
    else if (name === 'id' && !value.includes('\0')) this.#lastEventId = value;
  }

  #dispatch() {
    const message = { type: this.#type || 'message', data: this.#data.join('\n'), lastEventId: this.#lastEventId };
    const empty = this.#data.length === 0;
    this.#type = '';
    this.#data = [];
    if (!empty) this.#deliver(message);
  }
}
