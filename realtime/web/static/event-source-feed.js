/**
 * One EventSource connection that follows one run. It never lets the browser reconnect by itself: the cursor, the
 * waits and the choice of transport are the client's.
 *
 * @typedef {import('./feeds.js').FeedRequest} FeedRequest
 * @typedef {import('./feeds.js').FeedListener} FeedListener
 */
import { MalformedFrameError, eventFrom, isHeartbeat, parseFrame } from './frames.js';
import { refusal } from './feeds.js';

const CLOSED = 2;
const ENDINGS_BY_STATUS = {
  204: { reason: 'finished', code: '', message: '' },
  401: refusal({ code: 'NOT_AUTHENTICATED', message: 'You are not signed in.' }),
  403: refusal({ code: 'FORBIDDEN', message: 'You may not watch this run.' }),
  404: refusal({ code: 'RUN_NOT_FOUND', message: 'There is no such run.' }),
  400: refusal({ code: 'RUN_NOT_FOUND', message: 'There is no such run.' }),
};

/** Reports to its listener until it is closed or lost, then never again. */
export class EventSourceFeed {
  #request;
  #listener;
  #env;
  #url;
  #source;
  #resetTo = null;
  #open = true;

  /**
   * @param {FeedRequest} request
   * @param {FeedListener} listener
   * @param {any} env
   */
  constructor(request, listener, env) {
    this.#request = request;
    this.#listener = listener;
    this.#env = env;
    const url = new URL(`/api/v1/events/agent-runs/${encodeURIComponent(request.runId)}`, request.baseUrl);
    if (request.cursor !== null) url.searchParams.set('last_event_id', String(request.cursor));
    this.#url = url.href;
    this.#source = new env.EventSource(this.#url, { withCredentials: true });
    this.#source.onopen = () => {
      listener.alive();
      listener.live();
    };
    this.#source.onmessage = (message) => this.#receive(message);
    this.#source.onerror = () => this.#lost();
  }

  /** SSE has no way back. */
  ack() {}

  /** Leave. */
  close() {
    this.#open = false;
    this.#source.onopen = this.#source.onmessage = this.#source.onerror = null;
    this.#source.close();
  }

  #receive(message) {
    this.#listener.alive();
    try {
      const frame = parseFrame(message.data);
      if (isHeartbeat(frame)) this.#listener.heartbeat();
      else this.#event(frame, message.lastEventId);
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      this.#listener.malformed(error);
    }
  }

  /** `lastEventId` is also there for an event that has no id of its own: it is then the one before's. */
  #event(frame, lastEventId) {
    const reset = frame.payload?.reset;
    if (reset !== undefined && Number.isSafeInteger(reset?.cursor)) {
      this.#resetTo = reset.cursor;
      this.#listener.resetting({ reason: String(reset.reason), cursor: reset.cursor });
    }
    if (this.#resetTo === null) {
      this.#listener.event(eventFrom(frame, this.#request.runId, Number(lastEventId)));
      return;
    }
    const last = lastEventId === String(this.#resetTo);
    this.#listener.event(eventFrom(frame, this.#request.runId, last ? this.#resetTo : null));
    if (last) this.#resetTo = null;
  }

  /** A browser does not say why a stream was refused; asking for the head of the same resource does. */
  async #lost() {
    const refused = this.#source.readyState === CLOSED;
    this.#source.onopen = this.#source.onmessage = this.#source.onerror = null;
    this.#source.close();
    const ending = refused ? await this.#askWhy() : null;
    if (this.#open) this.#listener.lost(ending);
  }

  async #askWhy() {
    try {
      const answer = await this.#env.fetch(this.#url, { method: 'HEAD', credentials: 'include', cache: 'no-store' });
      return ENDINGS_BY_STATUS[answer.status] ?? null;
    } catch {
      return null;
    }
  }
}
