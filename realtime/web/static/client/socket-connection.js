/**
 * One WebSocket of subprotocol `runcast.v1`: frames out, checked frames in. It says who this is by itself.
 *
 * @typedef {import('./frames.js').Frame} Frame
 *
 * @typedef {object} FrameListener
 * @property {(frame: Frame) => void} frame
 * @property {(error: MalformedFrameError, runId: any) => void} malformed `runId`: the run it says to be about
 */
import { refusal } from './endings.js';
import { FramePacer } from './frame-pacer.js';
import { MalformedFrameError, parseFrame } from './frames.js';

const SUBPROTOCOL = 'runcast.v1';
const OPEN = 1;
/** @type {Partial<Record<number, string>>} */
const DENIED_BY_CLOSE = { 4401: 'NOT_AUTHENTICATED', 4403: 'FORBIDDEN' };

/** Reports to its link until it is closed or lost, then never again. */
export class SocketConnection {
  #socket;
  #link;
  #listener;
  #pacer;
  /** @type {?string} */
  #why = null;

  /**
   * @param {import('./line.js').Server} server
   * @param {?string} token
   * @param {import('./link.js').Link} link
   * @param {FrameListener} listener
   * @throws {Error} there is no WebSocket to be had
   */
  constructor(server, token, link, listener) {
    this.#link = link;
    this.#listener = listener;
    this.#pacer = new FramePacer((frame) => this.#send(frame), server.env);
    const url = new URL('/api/v1/ws', server.url);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#socket = new server.env.WebSocket(url.href, SUBPROTOCOL);
    this.#socket.onopen = () => this.#introduce(token);
    this.#socket.onmessage = (message) => this.#receive(message.data);
    this.#socket.onclose = (close) => this.#lost(close);
  }

  /** Send a frame; without an open socket it goes nowhere. Acks never have to wait. @param {Frame} frame */
  send(frame) {
    if (frame.op === 'ack') this.#send(frame);
    else this.#pacer.send(frame);
  }

  /** How many frames a second the server takes, as far as it says. @param {unknown} framesPerS */
  pace(framesPerS) {
    this.#pacer.pace(framesPerS);
  }

  /** Have the server say something. */
  ping() {
    this.#send({ op: 'ping' });
  }

  /** A fresher token of the same user, in place. @param {string} token */
  authenticate(token) {
    this.#send({ op: 'authenticate', token });
  }

  /** Leave. */
  close() {
    this.#detach();
    this.#socket.close(1000);
  }

  /**
   * Without a cookie the server says nothing before it has heard something: then that it knows nobody.
   * @param {?string} token
   */
  #introduce(token) {
    if (token === null) this.ping();
    else this.authenticate(token);
  }

  /** @param {Frame} frame */
  #send(frame) {
    if (this.#socket.readyState === OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** @param {any} data */
  #receive(data) {
    this.#link.alive();
    /** @type {?Frame} */
    let frame = null;
    try {
      frame = parseFrame(data);
      if (frame.op === 'error') this.#refused(frame);
      else this.#listener.frame(frame);
    } catch (error) {
      this.#listener.malformed(MalformedFrameError.from(error, data), frame?.run_id);
    }
  }

  /** A failing server may not even close: leave it. Other fatal errors end by its close. @param {Frame} frame */
  #refused(frame) {
    if (frame.code === 'INTERNAL') {
      this.close();
      this.#link.lost();
    } else if (frame.fatal) this.#why = String(frame.message);
    else this.#listener.frame(frame);
  }

  /** @param {CloseEvent} close */
  #lost(close) {
    this.#detach();
    const denied = refusal({ code: DENIED_BY_CLOSE[close.code] ?? '', message: this.#why ?? close.reason });
    if (denied === null) this.#link.lost();
    else this.#link.denied(denied);
  }

  #detach() {
    this.#pacer.close();
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
  }
}
