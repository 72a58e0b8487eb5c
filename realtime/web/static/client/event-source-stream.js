/**
 * One run over the browser's EventSource, for which the cookie says who asks. It never lets the browser reconnect by
 * itself: the cursor, the waits and the choice of transport are the client's.
 */
import { isOfType } from './answers.js';
import { FINISHED, refusalByStatus } from './endings.js';
import { streamUrl } from './stream-url.js';

const CLOSED = 2;

/** Reports to its link until it is closed or lost, then never again. */
export class EventSourceStream {
  #server;
  #link;
  #url;
  #source;
  #open = true;

  /**
   * @param {import('./line.js').Server} server
   * @param {import('./run-watch.js').RunViewer} viewer
   * @param {import('./link.js').Link} link
   * @param {import('./run-messages.js').RunMessages} messages
   */
  constructor(server, viewer, link, messages) {
    this.#server = server;
    this.#link = link;
    const url = streamUrl(server, viewer.runId);
    const cursor = viewer.folded();
    if (cursor !== null) url.searchParams.set('last_event_id', String(cursor));
    this.#url = url.href;
    this.#source = new server.env.EventSource(this.#url, { withCredentials: true });
    this.#source.onopen = () => messages.begin();
    this.#source.onmessage = (message) => messages.receive(message);
    this.#source.onerror = () => this.#lost();
  }

  /** Leave. */
  close() {
    this.#open = false;
    this.#detach();
  }

  /** A browser does not say why a stream was refused; asking for the head of the same resource may. */
  async #lost() {
    const refused = this.#source.readyState === CLOSED;
    this.#detach();
    const ending = refused ? await this.#askWhy() : null;
    if (!this.#open) return;
    if (ending === null) this.#link.lost();
    else this.#link.ended(ending);
  }

  /** The server refuses with JSON; other answers are not its own, and say nothing of the run. */
  async #askWhy() {
    /** @type {RequestInit} */
    const asked = { method: 'HEAD', credentials: 'include', cache: 'no-store' };
    try {
      const answer = await this.#server.env.fetch(this.#url, asked);
      if (answer.status === 204) return FINISHED;
      return isOfType(answer, 'application/json') ? refusalByStatus(answer.status) : null;
    } catch {
      return null;
    }
  }

  #detach() {
    this.#source.onopen = this.#source.onmessage = this.#source.onerror = null;
    this.#source.close();
  }
}
