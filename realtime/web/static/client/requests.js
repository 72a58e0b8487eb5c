/** Requests to the server's REST API: with the session's cookie on its own pages, with a token elsewhere. */
import { Identity } from './identity.js';

/** The server refused, or could not be reached (`status` 0); `message` is for people. */
export class RequestError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {boolean} [unknownOutcome] the request may have been obeyed although no answer came
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

  /** @param {import('./line.js').Server} server */
  constructor(server) {
    this.#server = server;
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
    let answer = await this.#send(path, options, await tokenOf(identity));
    if (answer.status === 401 && identity.refuse()) {
      const another = await tokenOf(identity);
      if (another !== null) answer = await this.#send(path, options, another);
    }
    const body = await answer.json().catch(() => null);
    if (answer.ok && body !== null) return body;
    const message = typeof body?.message === 'string' ? body.message : `The server answered ${answer.status}.`;
    throw new RequestError(answer.status, String(body?.error ?? ''), message);
  }

  async #send(path, options, token) {
    const { url, env } = this.#server;
    const headers = token === null ? options.headers : { ...options.headers, Authorization: `Bearer ${token}` };
    try {
      return await env.fetch(`${url}${path}`, { credentials: 'same-origin', ...options, headers });
    } catch {
      const message = 'The server could not be reached. Check the connection and try again.';
      throw new RequestError(0, 'UNREACHABLE', message, true);
    }
  }
}

async function tokenOf(identity) {
  if (!identity.byToken) return null;
  try {
    return await identity.token();
  } catch {
    throw new RequestError(0, 'NO_TOKEN', 'A token to sign in with could not be had. Try again.');
  }
}
