/**
 * One client for each server, for as long as somebody needs it.
 *
 * @typedef {object} Lease
 * @property {RunClient} client
 * @property {() => void} release
 */
import { RunClient } from '../run-client.js';

/** @type {Map<string, {client: RunClient, users: number}>} */
const shared = new Map();

/**
 * The client of the server at `url`; `release` it when it is no longer needed. The last release closes it.
 * @param {string} url absolute, or from the page's own
 * @returns {Lease}
 * @throws {TypeError} it is not the address of a server; the message is for people
 */
export function leaseClient(url) {
  const fresh = new RunClient({ url });
  const held = shared.get(fresh.url) ?? { client: fresh, users: 0 };
  shared.set(fresh.url, held);
  held.users += 1;
  return {
    client: held.client,
    release() {
      held.users -= 1;
      if (held.users > 0) return;
      shared.delete(held.client.url);
      held.client.close();
    },
  };
}
