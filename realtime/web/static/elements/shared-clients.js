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
 * The client of the server that `url` is of; `release` it when it is no longer needed. The last release closes it.
 * @param {string} url absolute, or from the page's own; only its origin counts
 * @returns {Lease}
 * @throws {TypeError} it is not the address of a server; the message is for people
 */
export function leaseClient(url) {
  const server = originOf(url);
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

/** @param {string} url */
function originOf(url) {
  const address = URL.canParse(url, document.baseURI) ? new URL(url, document.baseURI) : null;
  if (address === null || !/^https?:$/.test(address.protocol)) {
    throw new TypeError(`There is no server at "${url}"; expected an address like https://runs.example.org.`);
  }
  return address.origin;
}
