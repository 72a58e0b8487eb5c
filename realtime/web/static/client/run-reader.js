/**
 * The async iterator of a watch: what has arrived and was not asked for yet, up to a bound.
 *
 * @typedef {import('../run-client.js').RunEvent | import('../run-client.js').RunReset} Item
 *
 * @typedef {object} ReaderOwner
 * @property {(item: Item) => void} handled the one after it was asked for
 * @property {() => void} drained everything that had arrived was asked for
 * @property {() => void} left the loop was left
 */
import { WatchEndedError } from './endings.js';

const MOST_ITEMS = 1024;
/** @type {IteratorReturnResult<undefined>} */
const DONE = { done: true, value: undefined };

export class RunReader {
  #owner;
  /** @type {Item[]} */
  #items = [];
  /** @type {((result: IteratorResult<Item> | Promise<never>) => void)[]} */
  #asked = [];
  /** @type {?Item} */
  #given = null;
  #over = false;
  /** @type {?WatchEndedError} */
  #error = null;

  /** @param {ReaderOwner} owner */
  constructor(owner) {
    this.#owner = owner;
  }

  /** True where no more is to be added. */
  get full() {
    return this.#items.length >= MOST_ITEMS;
  }

  /** True where everything that had arrived has been handled. */
  get idle() {
    return this.#items.length === 0 && this.#given === null;
  }

  /** @param {Item} item */
  add(item) {
    const asked = this.#asked.shift();
    if (asked === undefined) this.#items.push(item);
    else asked(this.#give(item));
  }

  /**
   * Nothing follows what is here.
   * @param {?import('../run-client.js').Ending} ending null: nobody wants more
   */
  end(ending) {
    this.#over = true;
    if (ending !== null && ending.reason !== 'finished') this.#error = new WatchEndedError(ending);
    for (const resolve of this.#asked.splice(0)) resolve(this.#finish());
  }

  /** Nothing follows, not even what is here. */
  close() {
    this.#items = [];
    this.#given = null;
    this.end(null);
  }

  /** @returns {Promise<IteratorResult<Item>>} */
  async next() {
    this.#settle();
    const item = this.#items.shift();
    if (item !== undefined) {
      const given = this.#give(item);
      if (this.#items.length === 0) this.#owner.drained();
      return given;
    }
    if (this.#over) return this.#finish();
    return new Promise((resolve) => {
      this.#asked.push(resolve);
    });
  }

  /** @returns {Promise<IteratorResult<Item>>} */
  async return() {
    this.#owner.left();
    return DONE;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #settle() {
    if (this.#given === null) return;
    const item = this.#given;
    this.#given = null;
    this.#owner.handled(item);
  }

  /** @param {Item} item @returns {IteratorYieldResult<Item>} */
  #give(item) {
    this.#given = item;
    return { done: false, value: item };
  }

  /** An error is told once. */
  #finish() {
    const error = this.#error;
    this.#error = null;
    return error === null ? DONE : Promise.reject(error);
  }
}
