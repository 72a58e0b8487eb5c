/**
 * Carries any number of runs and projects over one WebSocket.
 *
 * @typedef {import('./frames.js').Frame} Frame
 * @typedef {import('./link.js').Loss} Loss
 * @typedef {import('./link.js').Outage} Outage
 * @typedef {import('./project-watch.js').ProjectViewer} ProjectViewer
 * @typedef {import('./run-watch.js').RunViewer} RunViewer
 *
 * @typedef {object} CarrierOwner what a carrier tells beyond what it tells the viewers
 * @property {() => void} welcomed the connection can be used
 * @property {(loss: Loss) => void} lost
 * @property {(outage: Outage) => void} unconnected as the viewers were told
 * @property {() => void} impossible there is no WebSocket here at all
 * @property {() => void} ended the server lets nobody in
 */
import { Identity } from './identity.js';
import { Link } from './link.js';
import { isHeartbeat } from './frames.js';
import { Backoff } from './pacing.js';
import { ProjectSubscriptions } from './project-subscriptions.js';
import { RunSubscriptions } from './run-subscriptions.js';
import { SocketConnection } from './socket-connection.js';

const SUBSCRIPTIONS = 64;

export class SocketCarrier {
  #server;
  #owner;
  #identity;
  #link;
  /** @type {?SocketConnection} */
  #connection = null;
  #welcomed = false;
  #runs;
  #projects;

  /**
   * @param {import('./line.js').Server} server
   * @param {CarrierOwner} owner
   */
  constructor(server, owner) {
    this.#server = server;
    this.#owner = owner;
    this.#identity = new Identity(server.token);
    this.#link = new Link(this.#linkOwner, this.#identity, new Backoff(server.env.random), server.env);
    const send = (/** @type {Frame} */ frame) => this.#connection?.send(frame);
    this.#runs = new RunSubscriptions(send, server.clientId, () => this.#projects.count);
    this.#projects = new ProjectSubscriptions(send, () => this.#runs.fit());
  }

  /** @returns {'websocket'} */
  get transport() {
    return 'websocket';
  }

  /** Have a connection, even while there is nothing to follow. */
  open() {
    this.#link.open();
  }

  /** Follow a run from the viewer's cursor; again, where it is followed already. @param {RunViewer} viewer */
  follow(viewer) {
    this.#runs.add(viewer);
    if (this.#link.waiting) viewer.lost({ offline: this.#link.offline, draining: false });
    this.#link.open();
  }

  /** @param {RunViewer} viewer */
  leave(viewer) {
    this.#runs.remove(viewer);
  }

  /** @param {ProjectViewer} viewer */
  followProject(viewer) {
    this.#projects.add(viewer);
    if (this.#link.waiting) viewer.lost({ offline: this.#link.offline, draining: false });
    this.#link.open();
  }

  /** @param {ProjectViewer} viewer */
  leaveProject(viewer) {
    this.#projects.remove(viewer);
  }

  /** @param {RunViewer} viewer */
  ack(viewer) {
    this.#runs.ack(viewer);
  }

  /** There is reason to believe in the network again. */
  hurry() {
    this.#link.hurry();
  }

  /** There is reason to doubt the connection. */
  doubt() {
    this.#link.doubt();
  }

  /** The network is gone. */
  despair() {
    if (this.#link.waiting) this.#tellLost({ offline: true, draining: false });
  }

  /** Have no connection until there is something to follow again. */
  close() {
    this.#link.close();
    this.#forget();
  }

  /** @type {import('./link.js').LinkOwner} */
  #linkOwner = {
    dial: (token, link) => {
      try {
        this.#connection = new SocketConnection(this.#server, token, link, this.#listener);
      } catch {
        this.close();
        this.#owner.impossible();
        return null;
      }
      return this.#connection;
    },
    lost: (loss) => {
      this.#forget();
      this.#tellLost(loss);
      this.#owner.lost(loss);
    },
    retrying: () => this.#tellLost({ offline: false, draining: false }),
    ended: (ending) => {
      for (const viewer of [...this.#runs.viewers, ...this.#projects.viewers]) viewer.refused(ending);
      this.#owner.ended();
    },
  };

  #forget() {
    this.#welcomed = false;
    this.#connection = null;
    this.#runs.lost();
    this.#projects.lost();
  }

  /** @param {Outage} outage */
  #tellLost(outage) {
    for (const viewer of [...this.#runs.viewers, ...this.#projects.viewers]) viewer.lost(outage);
    this.#owner.unconnected(outage);
  }

  /**
   * An `op` that is not known here is of a newer server and means nothing to this client.
   * @type {import('./socket-connection.js').FrameListener}
   */
  #listener = {
    frame: (frame) => {
      if (isHeartbeat(frame)) this.#link.progressed();
      else if (frame.op === undefined) this.#event(frame);
      else if (frame.op === 'welcome') this.#welcome(frame);
      else if (frame.op === 'draining') this.#link.draining(Number(frame.retry_after_ms) || 0);
      else if (frame.op === 'expiring') this.#renew();
      else {
        this.#runs.control(frame);
        this.#projects.control(frame);
      }
    },
    malformed: (error, runId) => this.#runs.malformed(error, runId),
  };

  /** @param {Frame} frame */
  #event(frame) {
    if (this.#runs.event(frame)) this.#link.progressed();
  }

  /** It also answers a token that was sent in place; then everything is there already. @param {Frame} frame */
  #welcome({ heartbeat_s, limits, server_time }) {
    this.#identity.accept();
    this.#link.pace(heartbeat_s);
    this.#connection?.pace(limits?.frames_per_s);
    this.#server.clock.learn(server_time);
    if (this.#welcomed) return;
    this.#welcomed = true;
    const limit = limits?.subscriptions > 0 ? limits.subscriptions : SUBSCRIPTIONS;
    this.#projects.open(limit);
    this.#runs.open(limit);
    this.#owner.welcomed();
  }

  /** Where no token can be had now, the connection is closed when the old one expires, and that is asked about. */
  async #renew() {
    const connection = this.#connection;
    const token = await this.#identity.fresher().catch(() => null);
    if (token === null || connection !== this.#connection) return;
    this.#identity.offer(token);
    connection?.authenticate(token);
  }
}
