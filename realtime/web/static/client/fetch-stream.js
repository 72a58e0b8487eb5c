/** One run over SSE, read with `fetch`: for a token, which an EventSource cannot send. */
import { isOfType, refusalIn } from './answers.js';
import { FINISHED, refusalByStatus } from './endings.js';
import { SseParser } from './sse-parser.js';
import { streamUrl } from './stream-url.js';

const EVENT_STREAM = 'text/event-stream';

/** Reports to its link until it is closed or lost, then never again. */
export class FetchStream {
  #server;
  #link;
  #messages;
  #left = new AbortController();

  /**
   * @param {import('./line.js').Server} server
   * @param {import('./run-watch.js').RunViewer} viewer
   * @param {import('./link.js').Link} link
   * @param {import('./run-messages.js').RunMessages} messages
   * @param {?string} token
   */
  constructor(server, viewer, link, messages, token) {
    this.#server = server;
    this.#link = link;
    this.#messages = messages;
    /** @type {Record<string, string>} */
    const headers = { Accept: EVENT_STREAM };
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    const cursor = viewer.folded();
    if (cursor !== null) headers['Last-Event-ID'] = String(cursor);
    this.#read(streamUrl(server, viewer.runId).href, headers);
  }

  /** Leave. */
  close() {
    this.#left.abort();
  }

  /** @param {string} url @param {Record<string, string>} headers */
  async #read(url, headers) {
    const { signal } = this.#left;
    let report = () => this.#link.lost();
    try {
      const answer = await this.#server.env.fetch(url, {
        headers, signal, cache: 'no-store', credentials: 'same-origin',
      });
      if (answer.status === 200 && isOfType(answer, EVENT_STREAM)) await this.#follow(answer);
      else report = await this.#refused(answer);
    } catch {
      // Broken off; the link knows what to do.
    }
    if (!signal.aborted) report();
  }

  /** @param {Response} answer */
  async #follow(answer) {
    const { signal } = this.#left;
    if (signal.aborted || answer.body === null) return;
    this.#messages.begin();
    const parser = new SseParser((message) => {
      if (message.type === 'message' && !signal.aborted) this.#messages.receive(message);
    });
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    const reader = answer.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      this.#link.alive();
      parser.push(decoder.decode(value, { stream: true }));
    }
  }

  /** @param {Response} answer */
  async #refused(answer) {
    const { status } = answer;
    if (status === 204) return () => this.#link.ended(FINISHED);
    const refused = refusalIn(await answer.json().catch(() => null));
    const ending = refusalByStatus(status);
    if (refused === null || ending === null) return () => this.#link.lost();
    const told = { ...ending, ...refused };
    return status === 401 ? () => this.#link.denied(told) : () => this.#link.ended(told);
  }
}
