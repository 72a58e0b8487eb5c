/** What the page asks of the REST API beside runs, with the session's cookie. */
import { RequestError } from '../run-client.js';

const ANSWER_MS = 20_000;

/**
 * The JSON answer to a request.
 * @param {string} path
 * @param {RequestInit} [options]
 * @param {number} [withinMs] without an answer by then, the server counts as out of reach
 * @returns {Promise<any>} null where the answer has no body
 * @throws {RequestError}
 */
export async function request(path, options = {}, withinMs = ANSWER_MS) {
  let answer;
  try {
    answer = await fetch(path, { credentials: 'same-origin', signal: AbortSignal.timeout(withinMs), ...options });
  } catch {
    throw new RequestError(0, 'UNREACHABLE', 'The server could not be reached. Check the connection and try again.');
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok) return body;
  const message = typeof body?.message === 'string' ? body.message : `The server answered ${answer.status}.`;
  throw new RequestError(answer.status, String(body?.error ?? ''), message);
}
