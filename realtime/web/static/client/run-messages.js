/** What the messages of one run's SSE stream mean, for its viewer. */
import { MalformedFrameError, eventFrom, isHeartbeat, parseFrame } from './frames.js';

/** How long a replay may take: whom it has not brought to their cursor by then is reset, though it may just be slow. */
const REPLAY_MS = 15_000;

export class RunMessages {
  #viewer;
  #link;
  #reached;
  #env;
  #clock;
  #replayedAt = Infinity;
  /** @type {?number} */
  #resetTo = null;

  /**
   * @param {import('./run-watch.js').RunViewer} viewer
   * @param {import('./link.js').Link} link
   * @param {() => void} reached the server answers
   * @param {Pick<import('./line.js').Server, 'env'|'clock'>} server
   */
  constructor(viewer, link, reached, { env, clock }) {
    this.#viewer = viewer;
    this.#link = link;
    this.#reached = reached;
    this.#env = env;
    this.#clock = clock;
  }

  /** The server accepted the stream. */
  begin() {
    this.#replayedAt = this.#env.monotonic() + REPLAY_MS;
    this.#link.accepted();
    this.#link.alive();
    this.#viewer.streaming();
    this.#reached();
  }

  /** @param {{data: string, lastEventId: string}} message */
  receive({ data, lastEventId }) {
    this.#link.alive();
    this.#reached();
    try {
      const frame = parseFrame(data);
      const quiet = isHeartbeat(frame);
      if (quiet || this.#event(frame, lastEventId)) this.#link.progressed();
      if (quiet || this.#env.monotonic() >= this.#replayedAt) this.#viewer.replayed();
    } catch (error) {
      this.#viewer.malformed(MalformedFrameError.from(error, data));
      if (this.#endsReset(lastEventId)) this.#link.abandon();
    }
  }

  /** @param {string} lastEventId */
  #endsReset(lastEventId) {
    return this.#resetTo !== null && lastEventId === String(this.#resetTo);
  }

  /**
   * `lastEventId` is also there for an event that has no id of its own: it is then the one before's.
   * @param {import('./frames.js').Frame} frame
   * @param {string} lastEventId
   */
  #event(frame, lastEventId) {
    const { runId } = this.#viewer;
    this.#clock.passed(frame.payload?.at);
    const reset = frame.payload?.reset;
    if (Number.isSafeInteger(reset?.cursor)) {
      this.#resetTo = reset.cursor;
      this.#viewer.resetting({ reason: String(reset.reason), cursor: reset.cursor });
    }
    if (this.#resetTo === null) return this.#viewer.event(eventFrom(frame, runId, Number(lastEventId)));
    const last = this.#endsReset(lastEventId);
    const event = eventFrom(frame, runId, last ? this.#resetTo : null);
    if (last) this.#resetTo = null;
    return this.#viewer.event(event);
  }
}
