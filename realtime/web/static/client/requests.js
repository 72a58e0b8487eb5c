/** Requests to the server's REST API: with the session's cookie on its own pages, with a token elsewhere. */
import { Identity } from './identity.js';

const LONGEST_MS = 20_000;

/** The server refused, or could not be reached within 20 s (`status` 0); `message` is for people. */
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
   * @param {import('./line.js').Server} server
   * @param {() => void} answered the server, and not only something before it, has answered
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

  async #ask(path, options) {
    const identity = new Identity(this.#server.token);
    let answer = await this.#send(path, options, await this.#tokenOf(identity));
    if (answer.status === 401 && identity.refuse()) {
      const another = await this.#tokenOf(identity);
      if (another !== null) answer = await this.#send(path, options, another);
    }
    const { status, ok, body } = answer;
    if (status < 500 && body !== null) this.#answered();
    if (ok && body !== null) return body;
    const message = typeof body?.message === 'string' ? body.message : `The server answered ${status}.`;
    throw new RequestError(status, String(body?.error ?? ''), message, ok || status >= 500);
  }

  async #send(path, options, token) {
    const { url, env } = this.#server;
    const headers = token === null ? options.headers : { ...options.headers, Authorization: `Bearer ${token}` };
    const late = new AbortController();
    const wanted = { credentials: 'same-origin', ...options, headers, signal: late.signal };
    try {
      return await this.#inTime(read(env.fetch(`${url}${path}`, wanted)));
    } catch {
      late.abort();
      const message = 'The server could not be reached. Check the connection and try again.';
      throw new RequestError(0, 'UNREACHABLE', message, true);
    }
  }

  async #tokenOf(identity) {
    if (!identity.byToken) return null;
    try {
      return await this.#inTime(identity.token());
    } catch {
      throw new RequestError(0, 'NO_TOKEN', 'A token to sign in with could not be had. Try again.');
    }
  }

  /** What was promised, unless that takes too long. */
  async #inTime(promised) {
    const { env } = this.#server;
    let timer;
    const late = new Promise((_, reject) => {
      timer = env.setTimeout(() => reject(new Error(`expected it within ${LONGEST_MS} ms`)), LONGEST_MS);
    });
    try {
      return await Promise.race([promised, late]);
    } finally {
      env.clearTimeout(timer);
    }
  }
}

/** `body`: the JSON in the answer; null: there is none that can be read. */
async function read(asked) {
  const answer = await asked;
  return { status: answer.status, ok: answer.ok, body: await answer.json().catch(() => null) };
}
