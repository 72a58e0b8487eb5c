/**
 * Keeps one connection: opens it, lets go of it when nothing is heard for too long, waits, opens it again.
 *
 * @typedef {import('../run-client.js').Ending} Ending
 *
 * @typedef {object} LinkConnection
 * @property {() => void} close
 * @property {() => void} [ping] have the server say something
 *
 * @typedef {object} LinkOwner
 * @property {(token: ?string, link: Link) => ?LinkConnection} dial open a connection, which reports to the link until
 *   it is closed or has reported its end; null: the link was closed instead
 * @property {(loss: Loss) => void} lost the connection is gone; another is opened after `waitMs`
 * @property {() => void} retrying the wait for that is cut short
 * @property {(ending: Ending) => void} ended there will be no other
 *
 * @typedef {object} Loss
 * @property {boolean} brought anything at all was heard over the connection
 * @property {boolean} offline it is more than a moment
 * @property {boolean} draining the server said that it restarts
 * @property {number} attempts in a row without progress
 * @property {number} waitMs until the next
 *
 * @typedef {Pick<Loss, 'offline'|'draining'>} Outage a loss as the viewers are told of it
 */

const FIRST_SIGN_MS = 10_000;
const ANSWER_MS = 5_000;
const HEARTBEAT_S = 15;
const SILENT_HEARTBEATS = 3;
const OFFLINE_AFTER_ATTEMPTS = 4;
/** @type {Ending} */
const NO_TOKEN = { reason: 'forbidden', code: 'NOT_AUTHENTICATED', message: 'There is no token to sign in with.' };

/** What a link does: nothing, wait to open, open, be open. */
const IDLE = 'idle';
const WAITING = 'waiting';
const OPENING = 'opening';
const OPEN = 'open';

export class Link {
  #owner;
  #identity;
  #backoff;
  #env;
  #phase = IDLE;
  /** @type {?LinkConnection} */
  #connection = null;
  /** @type {?number} the one timer: until the silence is too long while connected, until the next attempt while not */
  #timer = null;
  #heardAt = { now: 0, monotonic: 0 };
  #doubted = false;
  #silenceMs = HEARTBEAT_S * SILENT_HEARTBEATS * 1000;
  /** @type {?number} */
  #drainingMs = null;
  #denied = NO_TOKEN;
  /** @type {?object} another for each attempt, so that a token that comes late for one is not used for the next */
  #attempt = null;

  /**
   * @param {LinkOwner} owner
   * @param {import('./identity.js').Identity} identity
   * @param {import('./pacing.js').Backoff} backoff
   * @param {import('./environment.js').Environment} env
   */
  constructor(owner, identity, backoff, env) {
    this.#owner = owner;
    this.#identity = identity;
    this.#backoff = backoff;
    this.#env = env;
  }

  /**
   * Have a connection; once is enough.
   * @param {number} [afterMs]
   */
  open(afterMs = 0) {
    if (this.#phase !== IDLE) return;
    if (afterMs > 0) this.#wait(afterMs);
    else this.#dial();
  }

  /** Have none. Nothing is reported after it. */
  close() {
    this.#phase = IDLE;
    this.#env.clearTimeout(this.#timer);
    this.#attempt = null;
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
  }

  /**
   * There is reason to believe in the network: do not wait any longer, but for a server that said for how long, nor for
   * what has been silent for too long.
   */
  hurry() {
    if (this.#phase === OPEN && this.#silentMs >= this.#silenceMs) this.abandon();
    if (this.#phase !== WAITING || this.#drainingMs !== null) return;
    this.#owner.retrying();
    this.#dial();
  }

  /** There is reason to doubt the connection, which is one that can `ping`: keep it if that brings anything. */
  doubt() {
    if (this.#phase !== OPEN) return;
    this.#doubted = true;
    this.#connection?.ping?.();
    this.#setTimer(ANSWER_MS, () => (this.#doubted ? this.abandon() : this.#listen(this.#silenceMs)));
  }

  /** True while there is no connection and none is being opened. */
  get waiting() {
    return this.#phase === WAITING;
  }

  /** True while there is a connection that has brought something. */
  get standing() {
    return this.#phase === OPEN;
  }

  /** True where the browser says so, or several attempts in a row brought no progress. */
  get offline() {
    return !this.#env.online() || this.#backoff.attempts > OFFLINE_AFTER_ATTEMPTS;
  }

  /** The connection says: something arrived, or it stands. */
  alive() {
    this.#hear();
    this.#doubted = false;
    if (this.#phase === OPEN) return;
    this.#phase = OPEN;
    this.#watch(this.#silenceMs);
  }

  /** It says: the server knows who this is. */
  accepted() {
    this.#identity.accept();
  }

  /** It says: there was progress, or a quiet server said something. */
  progressed() {
    this.#backoff.reset();
  }

  /** It says: a quiet server says something every so many seconds. @param {number} seconds */
  pace(seconds) {
    if (!(seconds > 0)) return;
    this.#silenceMs = seconds * SILENT_HEARTBEATS * 1000;
    this.#watch(this.#silenceMs);
  }

  /** It says: the server will restart; come back after this time. @param {number} milliseconds */
  draining(milliseconds) {
    this.#drainingMs = milliseconds;
  }

  /** It says: what it brings is of no use, where another may bring better. */
  abandon() {
    if (this.#phase === IDLE) return;
    this.#connection?.close();
    this.lost();
  }

  /** It says: gone; worth trying again. */
  lost() {
    this.#connection = null;
    this.#attempt = null;
    const brought = this.#phase === OPEN;
    const draining = this.#drainingMs !== null;
    const waitMs = (this.#drainingMs ?? 0) + this.#backoff.next();
    this.#wait(waitMs);
    const { attempts } = this.#backoff;
    this.#owner.lost({ brought, offline: this.offline, draining, attempts, waitMs });
  }

  /** It says: the server does not let this user in. Another token may help. @param {Ending} ending */
  denied(ending) {
    if (!this.#identity.refuse()) {
      this.ended(ending);
      return;
    }
    this.#denied = ending;
    this.lost();
  }

  /** It says: there is no sense in another. @param {Ending} ending */
  ended(ending) {
    this.#connection = null;
    this.close();
    this.#owner.ended(ending);
  }

  #dial() {
    this.#env.clearTimeout(this.#timer);
    this.#phase = OPENING;
    this.#drainingMs = null;
    if (!this.#identity.byToken) {
      this.#connect(null);
      return;
    }
    this.#watch(FIRST_SIGN_MS);
    const attempt = {};
    this.#attempt = attempt;
    /** @type {<T>(then: (value: T) => void) => (value: T) => void} */
    const ifWanted = (then) => (value) => this.#attempt === attempt && then(value);
    this.#identity.token().then(
      ifWanted((token) => (token === null ? this.ended(this.#denied) : this.#connect(token))),
      ifWanted(() => this.lost()),
    );
  }

  /** @param {?string} token */
  #connect(token) {
    this.#watch(FIRST_SIGN_MS);
    this.#connection = this.#owner.dial(token, this);
  }

  /** @param {number} ms */
  #wait(ms) {
    this.#phase = WAITING;
    this.#setTimer(ms, () => this.#dial());
  }

  /** @param {number} ms */
  #watch(ms) {
    this.#hear();
    this.#setTimer(ms, () => this.#listen(ms));
  }

  /**
   * What arrives only moves `heardAt`: a timer for each of many messages would cost more than they do.
   * @param {number} ms
   */
  #listen(ms) {
    const silentMs = this.#silentMs;
    if (silentMs >= ms) this.abandon();
    else this.#setTimer(ms - silentMs, () => this.#listen(ms));
  }

  #hear() {
    const { now, monotonic } = this.#env;
    this.#heardAt = { now: now(), monotonic: monotonic() };
  }

  /** One clock can be set back, the other stands still while some computers sleep: the later of them is right. */
  get #silentMs() {
    const { now, monotonic } = this.#env;
    return Math.max(now() - this.#heardAt.now, monotonic() - this.#heardAt.monotonic);
  }

  /** @param {number} ms @param {() => void} callback */
  #setTimer(ms, callback) {
    this.#env.clearTimeout(this.#timer);
    this.#timer = this.#env.setTimeout(callback, ms);
  }
}
