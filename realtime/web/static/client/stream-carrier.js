/**
 * Carries runs over SSE, one stream for each. It lists no projects: who wants that has to ask.
 *
 * @typedef {import('./link.js').Loss} Loss
 * @typedef {import('./project-watch.js').ProjectViewer} ProjectViewer
 * @typedef {import('./run-watch.js').RunViewer} RunViewer
 */
import { EventSourceStream } from './event-source-stream.js';
import { FetchStream } from './fetch-stream.js';
import { Identity } from './identity.js';
import { Link } from './link.js';
import { Backoff } from './pacing.js';
import { RunMessages } from './run-messages.js';
import { UnseenTurns } from './unseen-turns.js';

/** How long a run has a stream for itself while another waits for one. */
const TURN_MS = 5_000;
/** Browsers allow a server six connections over HTTP/1.1, all tabs together, and requests need one, too. */
const STREAMS = 4;

export class StreamCarrier {
  #server;
  #owner;
  /** @type {Map<RunViewer, ?Link>} in the order in which they wait; null: it has no stream yet */
  #streams = new Map();
  /** @type {?number} */
  #turn = null;
  #unseen;

  /**
   * @param {import('./line.js').Server} server
   * @param {{lost: (loss: Loss) => void, reached: () => void}} owner `reached`: the server answers
   */
  constructor(server, owner) {
    this.#server = server;
    this.#owner = owner;
    this.#unseen = new UnseenTurns({ rest: () => this.#restAll(), resume: () => this.#fill() }, server.env);
  }

  /** @returns {'sse'} */
  get transport() {
    return 'sse';
  }

  /**
   * Follow a run from the viewer's cursor; again, where it is followed already.
   * @param {RunViewer} viewer
   * @param {Partial<Loss>} [before] of what this takes the place of
   */
  follow(viewer, before = {}) {
    this.#streams.get(viewer)?.close();
    this.#streams.set(viewer, null);
    this.#unseen.begin();
    this.#fill(before);
    if (this.#streams.get(viewer) === null) viewer.waiting();
  }

  /** @param {RunViewer} viewer */
  leave(viewer) {
    this.#streams.get(viewer)?.close();
    this.#streams.delete(viewer);
    this.#fill();
  }

  /** @param {ProjectViewer} viewer */
  followProject(viewer) {
    viewer.unavailable();
  }

  leaveProject() {}

  /** SSE has no way back: what was handled is told to nobody. */
  ack() {}

  /** There is reason to believe in the network again. */
  hurry() {
    for (const link of this.#links) link.hurry();
  }

  /** A stream cannot be asked to say something: its silence has to tell. */
  doubt() {}

  /** The network is gone. */
  despair() {
    for (const [viewer, link] of this.#streams) {
      if (link?.waiting) viewer.lost({ offline: true, draining: false });
    }
  }

  /** Have no stream until there is something to follow again. */
  close() {
    for (const link of this.#links) link.close();
    this.#streams.clear();
    this.#unseen.end();
    this.#endTurns();
  }

  get #links() {
    return [...this.#streams.values()].filter((link) => link !== null);
  }

  /** @param {Partial<Loss>} [before] */
  #fill(before = {}) {
    if (this.#unseen.resting) return;
    let free = STREAMS - this.#links.length;
    for (const [viewer, link] of [...this.#streams]) {
      if (link !== null) continue;
      if (free <= 0) {
        this.#takeTurns();
        return;
      }
      this.#open(viewer, before);
      free -= 1;
    }
  }

  /** Every so often the run that has had a stream for longest lets another have it, where some wait. */
  #takeTurns() {
    this.#turn ??= this.#server.env.setTimeout(() => {
      this.#turn = null;
      const [longest] = [...this.#streams].find(([, link]) => link?.standing) ?? [];
      if (this.#links.length === this.#streams.size) return;
      if (longest !== undefined) this.#rest(longest);
      this.#takeTurns();
    }, TURN_MS);
  }

  #endTurns() {
    this.#server.env.clearTimeout(this.#turn);
    this.#turn = null;
  }

  /** Who has no stream now is the first to have one afterwards. */
  #restAll() {
    this.#endTurns();
    for (const viewer of [...this.#streams.keys()]) if (this.#streams.get(viewer)) this.#rest(viewer);
  }

  /** @param {RunViewer} viewer */
  #rest(viewer) {
    this.leave(viewer);
    this.#streams.set(viewer, null);
    viewer.waiting();
  }

  /** @param {RunViewer} viewer @param {Partial<Loss>} before */
  #open(viewer, { attempts, waitMs }) {
    const { token, env } = this.#server;
    /** @type {import('./link.js').LinkOwner} */
    const owner = {
      dial: (held, link) => this.#dial(viewer, held, link),
      lost: (loss) => {
        viewer.lost(loss);
        this.#owner.lost(loss);
      },
      retrying: () => viewer.lost({ offline: false, draining: false }),
      ended: (ending) => (ending.reason === 'finished' ? viewer.finished() : viewer.refused(ending)),
    };
    const link = new Link(owner, new Identity(token), new Backoff(env.random, attempts), env);
    this.#streams.set(viewer, link);
    link.open(waitMs);
  }

  #reached = () => {
    this.#unseen.heard();
    this.#owner.reached();
  };

  /** @param {RunViewer} viewer @param {?string} token @param {Link} link */
  #dial(viewer, token, link) {
    const messages = new RunMessages(viewer, link, this.#reached, this.#server);
    const byFetch = token !== null || this.#server.env.EventSource === undefined;
    return byFetch
      ? new FetchStream(this.#server, viewer, link, messages, token)
      : new EventSourceStream(this.#server, viewer, link, messages);
  }
}
