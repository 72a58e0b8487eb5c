/**
 * Requests to the server's REST API: with the session's cookie on its own pages, with a token elsewhere.
 *
 * @typedef {{method?: string, headers?: Record<string, string>, body?: string | FormData, withinMs?: number}} Wanted
 */
import { refusalIn } from './answers.js';
import { Identity } from './identity.js';

const LONGEST_MS = 20_000;
const LONGEST_UPLOAD_MS = 300_000;

/**
 * The server refused; or (`status` 0) it could not be reached within 20 s, or something else answered in its place.
 * `message` is for people.
 */
export class RequestError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {boolean} [unknownOutcome] the request may have been obeyed although no answer says so
   */
  constructor(status, code, message, unknownOutcome = false) {
    super(message);
    this.name = 'RequestError';
    this.status = status;
    this.code = code;
    this.unknownOutcome = unknownOutcome;
  }
}

export class Requests {
  #server;
  #answered;

  /**
   * @param {Pick<import('./line.js').Server, 'url'|'token'|'env'>} server
   * @param {(content: any) => void} answered the server, and not only something before it, has answered; with null: it
   *   refused
   */
  constructor(server, answered) {
    this.#server = server;
    this.#answered = answered;
  }

  /**
   * @param {string} path
   * @returns {Promise<any>} the JSON answer
   * @throws {RequestError}
   */
  get(path) {
    return this.#ask(path, {});
  }

  /**
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<any>} the JSON answer
   * @throws {RequestError}
   */
  post(path, body) {
    if (body === undefined) return this.#ask(path, { method: 'POST' });
    const headers = { 'Content-Type': 'application/json' };
    return this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /**
   * @param {string} path
   * @param {FormData} form its files may take 300 s
   * @returns {Promise<any>} the JSON answer
   * @throws {RequestError}
   */
  upload(path, form) {
    return this.#ask(path, { method: 'POST', body: form, withinMs: LONGEST_UPLOAD_MS });
  }

  /** @param {string} path @param {Wanted} options */
  async #ask(path, options) {
    const identity = new Identity(this.#server.token);
    let answer = await this.#send(path, options, await this.#tokenOf(identity));
    if (answer.status === 401 && answer.refusal !== null && identity.refuse()) {
      const another = await this.#tokenOf(identity);
      if (another !== null) answer = await this.#send(path, options, another);
    }
    const { status, content, refusal } = answer;
    if (refusal === null && content === null) throw notTheServers(status);
    if (status < 500) this.#answered(content);
    if (refusal === null) return content;
    throw new RequestError(status, refusal.code, refusal.message, status >= 500);
  }

  /** @param {string} path @param {Wanted} options @param {?string} token */
  async #send(path, { withinMs = LONGEST_MS, ...options }, token) {
    const { url, env } = this.#server;
    const headers = token === null ? options.headers : { ...options.headers, Authorization: `Bearer ${token}` };
    const late = new AbortController();
    /** @type {RequestInit} */
    const wanted = { credentials: 'same-origin', ...options, headers, signal: late.signal };
    try {
      return await this.#inTime(read(env.fetch(`${url}${path}`, wanted)), withinMs);
    } catch {
      late.abort();
      const message = 'The server could not be reached. Check the connection and try again.';
      throw new RequestError(0, 'UNREACHABLE', message, true);
    }
  }

  /** @param {Identity} identity */
  async #tokenOf(identity) {
    if (!identity.byToken) return null;
    try {
      return await this.#inTime(identity.token());
    } catch {
      throw new RequestError(0, 'NO_TOKEN', 'A token to sign in with could not be had. Try again.');
    }
  }

  /**
   * What was promised, unless that takes too long.
   * @template T
   * @param {Promise<T>} promised
   * @returns {Promise<T>}
   */
  async #inTime(promised, withinMs = LONGEST_MS) {
    const { env } = this.#server;
    /** @type {?number} */
    let timer = null;
    /** @type {Promise<never>} */
    const late = new Promise((_, reject) => {
      timer = env.setTimeout(() => reject(new Error(`expected it within ${withinMs} ms`)), withinMs);
    });
    try {
      return await Promise.race([promised, late]);
    } finally {
      env.clearTimeout(timer);
    }
  }
}

/** The server's `content` or `refusal`; neither: the answer is not the server's. @param {Promise<Response>} asked */
async function read(asked) {
  const answer = await asked;
  const body = await answer.json().catch(() => null);
  return { status: answer.status, content: answer.ok ? body : null, refusal: answer.ok ? null : refusalIn(body) };
}

/** What refuses before the server does has not let it obey. @param {number} status */
function notTheServers(status) {
  const refused = status >= 400 && status < 500;
  const message = status === 413
    ? 'Something before the server takes nothing so large (413).'
    : `Something other than the server answered (${status}). Check the connection and try again.`;
  return new RequestError(0, 'BAD_ANSWER', message, !refused);
}
