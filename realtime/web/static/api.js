/** Requests to the server's REST API, same origin, with the session's cookie. */

/** The server refused, or could not be reached (`status` 0); `message` is for people. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }

  /** True where the request may have been obeyed although no answer came. */
  get unknownOutcome() {
    return this.status === 0;
  }
}

/**
 * The JSON answer to a request.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>} null where the answer has no body
 * @throws {ApiError}
 */
export async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: 'same-origin', ...options });
  } catch {
    throw new ApiError(0, 'UNREACHABLE', 'The server could not be reached. Check the connection and try again.');
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok) return body;
  const message = typeof body?.message === 'string' ? body.message : `The server answered ${answer.status}.`;
  throw new ApiError(answer.status, String(body?.error ?? ''), message);
}

/** @param {string} path @param {any} body */
export function postJson(path, body) {
  return request(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/**
 * A random UUID, also on plain HTTP, where browsers keep `crypto.randomUUID` to themselves.
 * @returns {string}
 */
export function randomUuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
