/**
 * One client for each server, for as long as somebody needs it.
 */
import { RunClient } from '../run-client.js';

/** @type {Map<string, {client: RunClient, users: number}>} */
const shared = new Map();

/**
 * The client of the server at `url`; `release` it when it is no longer needed. The last release closes it.
 * @param {string} url absolute, or from the page's own
 * @returns {{client: RunClient, release: () => void}}
 */
export function leaseClient(url) {
  const server = new URL(url, document.baseURI).href;
  const held = shared.get(server) ?? { client: new RunClient({ url: server }), users: 0 };
  shared.set(server, held);
  held.users += 1;
  return {
    client: held.client,
    release() {
      held.users -= 1;
      if (held.users > 0) return;
      shared.delete(server);
      held.client.close();
    },
  };
}
