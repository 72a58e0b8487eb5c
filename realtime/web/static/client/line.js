/**
 * The one line of a client to its server, for all that it watches: a WebSocket; SSE where that cannot be had or keeps
 * failing, until a WebSocket can be had again. It stands while something is watched.
 *
 * @typedef {import('./run-watch.js').RunViewer} RunViewer
 * @typedef {import('./project-watch.js').ProjectViewer} ProjectViewer
 * @typedef {import('./link.js').Loss} Loss
 *
 * @typedef {object} Server
 * @property {string} url its origin
 * @property {import('./identity.js').TokenSource} token as the application gave it
 * @property {?string} clientId
 * @property {import('./server-clock.js').ServerClock} clock
 * @property {import('./environment.js').Environment} env
 */
import { SocketCarrier } from './socket-carrier.js';
import { StreamCarrier } from './stream-carrier.js';

const MISSES_BEFORE_SSE = 2;
const FAILURES_BEFORE_SSE = 5;
const WEBSOCKET_AGAIN_MS = 5 * 60_000;

export class Line {
  #server;
  /** @type {Set<RunViewer>} */
  #viewers = new Set();
  /** @type {Set<RunViewer>} who wants nothing for now */
  #paused = new Set();
  /** @type {Set<ProjectViewer>} */
  #projects = new Set();
  /** @type {SocketCarrier | StreamCarrier} */
  #carrier;
  /** @type {?SocketCarrier} a WebSocket that is tried beside SSE */
  #trial = null;
  #trialAt = 0;
  #misses = 0;
  /** @type {(() => void)[]} */
  #stopListening = [];

  /** @param {Server} server */
  constructor(server) {
    this.#server = server;
    const possible = server.env.WebSocket !== undefined;
    this.#carrier = possible ? this.#socket() : this.#streams();
    if (!possible) this.#trialAt = Infinity;
  }

  /** @returns {'websocket'|'sse'} in use, or to be tried next */
  get transport() {
    return this.#carrier.transport;
  }

  /** Follow a run from the viewer's cursor; again, where it is followed already. @param {RunViewer} viewer */
  follow(viewer) {
    this.#paused.delete(viewer);
    this.#viewers.add(viewer);
    this.#listen();
    this.#carrier.follow(viewer);
  }

  /** Follow nothing for the viewer until it asks again. @param {RunViewer} viewer */
  pause(viewer) {
    this.#viewers.delete(viewer);
    this.#paused.add(viewer);
    this.#carrier.leave(viewer);
  }

  /** @param {RunViewer} viewer */
  leave(viewer) {
    this.#viewers.delete(viewer);
    this.#paused.delete(viewer);
    this.#carrier.leave(viewer);
    this.#closeIfUnused();
  }

  /** List the runs of a project. @param {ProjectViewer} viewer */
  followProject(viewer) {
    this.#projects.add(viewer);
    this.#listen();
    this.#carrier.followProject(viewer);
  }

  /** @param {ProjectViewer} viewer */
  leaveProject(viewer) {
    this.#projects.delete(viewer);
    this.#carrier.leaveProject(viewer);
    this.#closeIfUnused();
  }

  /** The viewer has handled more. @param {RunViewer} viewer */
  ack(viewer) {
    this.#carrier.ack(viewer);
  }

  /** The server has answered what a person asked for: nobody needs to wait for it any longer. */
  answered() {
    if (this.#unused) return;
    this.#carrier.hurry();
    this.reached();
  }

  /** The server answers over HTTP: reason enough to try a WebSocket, where that has not been done for a while. */
  reached() {
    if (this.#unused || this.transport !== 'sse' || this.#trial !== null) return;
    const now = this.#server.env.monotonic();
    if (now >= this.#trialAt) this.#try(now + WEBSOCKET_AGAIN_MS);
  }

  #listen() {
    if (this.#stopListening.length > 0) return;
    const { env } = this.#server;
    this.#stopListening = [
      env.listen('online', () => {
        this.#carrier.hurry();
        this.#carrier.doubt();
      }),
      env.listen('offline', () => {
        this.#carrier.despair();
        this.#carrier.doubt();
      }),
      env.listen('visibilitychange', () => env.hidden() || this.#carrier.hurry()),
    ];
  }

  get #unused() {
    return this.#viewers.size + this.#paused.size + this.#projects.size === 0;
  }

  /** Who leaves may be back within the same task, as a component that React mounts twice: the line is kept for that. */
  #closeIfUnused() {
    queueMicrotask(() => {
      if (!this.#unused) return;
      this.#stopListening.forEach((stop) => stop());
      this.#stopListening = [];
      this.#endTrial();
      this.#carrier.close();
    });
  }

  #socket() {
    const isTrial = () => socket === this.#trial;
    /** @type {SocketCarrier} */
    const socket = new SocketCarrier(this.#server, {
      welcomed: () => {
        if (isTrial()) this.#adopt(socket);
        for (const viewer of [...this.#paused]) viewer.streaming();
      },
      unconnected: (loss) => {
        if (!isTrial()) for (const viewer of [...this.#paused]) viewer.lost(loss);
      },
      lost: (loss) => (isTrial() ? this.#endTrial() : this.#judge(loss)),
      impossible: () => (isTrial() ? this.#endTrial() : this.#fallBack(Infinity)),
      ended: () => isTrial() && this.#endTrial(),
    });
    return socket;
  }

  #streams() {
    return new StreamCarrier(this.#server, {
      lost: ({ brought }) => brought || this.#try(this.#server.env.monotonic()),
      reached: () => this.reached(),
    });
  }

  /**
   * WebSockets that bring nothing may be tried again as soon as HTTP does; those that keep breaking may not.
   * @param {Loss} loss
   */
  #judge(loss) {
    this.#misses = loss.brought ? 0 : this.#misses + 1;
    const now = this.#server.env.monotonic();
    if (this.#misses >= MISSES_BEFORE_SSE) this.#fallBack(now, loss);
    else if (loss.attempts >= FAILURES_BEFORE_SSE) this.#fallBack(now + WEBSOCKET_AGAIN_MS, loss);
  }

  /** @param {number} trialAt @param {Loss} [before] */
  #fallBack(trialAt, before) {
    this.#trialAt = trialAt;
    this.#misses = 0;
    this.#carryBy(this.#streams(), before);
  }

  /**
   * Where nothing at all could be reached, `nextAt` is now: what that says of WebSockets is nothing.
   * @param {number} nextAt
   */
  #try(nextAt) {
    if (this.#trialAt === Infinity) return;
    this.#trialAt = nextAt;
    if (this.#trial !== null) return;
    this.#trial = this.#socket();
    this.#trial.open();
  }

  #endTrial() {
    this.#trial?.close();
    this.#trial = null;
  }

  /** What was tried works: it carries everything from now on. @param {SocketCarrier} socket */
  #adopt(socket) {
    this.#trial = null;
    this.#carryBy(socket);
  }

  /** @param {SocketCarrier | StreamCarrier} carrier @param {Loss} [before] */
  #carryBy(carrier, before) {
    this.#carrier.close();
    this.#carrier = carrier;
    for (const viewer of [...this.#viewers]) carrier.follow(viewer, before);
    for (const viewer of [...this.#projects]) carrier.followProject(viewer);
  }
}
