/**
 * One WebSocket connection that follows one run, by the rules of subprotocol `runcast.v1`.
 *
 * @typedef {import('./feeds.js').FeedRequest} FeedRequest
 * @typedef {import('./feeds.js').FeedListener} FeedListener
 */
import { MalformedFrameError, eventFrom, isHeartbeat, parseFrame } from './frames.js';
import { refusal } from './feeds.js';
import { AckPacer } from './pacing.js';

const SUBPROTOCOL = 'runcast.v1';
const SUBSCRIBE = 'subscribe';
const INTERNAL = 'INTERNAL';
const REFUSED_BY_CLOSE = { 4401: 'NOT_AUTHENTICATED', 4403: 'FORBIDDEN' };

/** Reports to its listener until it is closed or lost, then never again. */
export class WebSocketFeed {
  #request;
  #listener;
  #socket;
  #acks;
  #refused = null;

  /**
   * @param {FeedRequest} request
   * @param {FeedListener} listener
   * @param {any} env
   * @throws {Error} there is no WebSocket to be had
   */
  constructor(request, listener, env) {
    this.#request = request;
    this.#listener = listener;
    const url = new URL('/api/v1/ws', request.baseUrl);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#socket = new env.WebSocket(url.href, SUBPROTOCOL);
    this.#acks = new AckPacer((eventId) => this.#send({ op: 'ack', run_id: request.runId, event_id: eventId }), env);
    this.#socket.onopen = () => this.#subscribe();
    this.#socket.onmessage = (message) => this.#receive(message.data);
    this.#socket.onclose = (close) => this.#lost(close);
  }

  /** @param {number} eventId everything up to it has been handled */
  ack(eventId) {
    this.#acks.add(eventId);
  }

  /** Say what was handled, then leave. */
  close() {
    this.#detach();
    this.#socket.close(1000);
  }

  #subscribe() {
    const { runId, cursor, clientId } = this.#request;
    const frame = { op: SUBSCRIBE, ref: SUBSCRIBE, run_id: runId };
    if (cursor !== null) frame.last_event_id = cursor;
    if (clientId !== null) frame.client_id = clientId;
    this.#send(frame);
  }

  #send(frame) {
    if (this.#socket.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #receive(data) {
    this.#listener.alive();
    try {
      const frame = parseFrame(data);
      if (frame.op !== undefined) this.#control(frame, data);
      else if (isHeartbeat(frame)) this.#listener.heartbeat();
      else this.#listener.event(eventFrom(frame, this.#request.runId, frame.id ?? 0));
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      this.#listener.malformed(error);
    }
  }

  /** An `op` that is not known here is of a newer server and means nothing to this client. */
  #control(frame, data) {
    switch (frame.op) {
      case 'welcome':
        return this.#listener.pace(frame.heartbeat_s);
      case 'subscribed':
      case 'reset':
        return this.#begin(frame, data);
      case 'finished':
        return this.#listener.finished();
      case 'draining':
        return this.#listener.draining(Number(frame.retry_after_ms) || 0);
      case 'error':
        return this.#refuse(frame);
      default:
        return undefined;
    }
  }

  #begin(frame, data) {
    if (!Number.isSafeInteger(frame.cursor)) throw new MalformedFrameError(`expected ${frame.op} with a cursor`, data);
    this.#listener.live();
    const reset = frame.op === 'reset' ? String(frame.reason) : null;
    this.#listener.snapshot({ snapshot: frame.snapshot, cursor: frame.cursor, reset });
  }

  /** Leave where nothing more will come; a failing server may not even close. Other fatal errors end by its close. */
  #refuse(frame) {
    this.#refused = { code: String(frame.code), message: String(frame.message) };
    const ends = frame.code === INTERNAL || (frame.ref === SUBSCRIBE && !frame.fatal);
    if (!ends) return;
    this.#detach();
    this.#socket.close(1000);
    this.#listener.lost(refusal(this.#refused));
  }

  #lost(close) {
    this.#detach();
    const code = REFUSED_BY_CLOSE[close.code];
    const refused = code === undefined ? null : (this.#refused ?? { code, message: close.reason });
    this.#listener.lost(refused === null ? null : refusal(refused));
  }

  #detach() {
    this.#acks.close();
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
  }
}
