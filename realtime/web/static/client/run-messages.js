/** What the messages of one run's SSE stream mean, for its viewer. */
import { MalformedFrameError, eventFrom, isHeartbeat, parseFrame } from './frames.js';

export class RunMessages {
  #viewer;
  #link;
  #reached;
  #resetTo = null;

  /**
   * @param {import('./run-watch.js').RunViewer} viewer
   * @param {import('./link.js').Link} link
   * @param {() => void} reached the server answers
   */
  constructor(viewer, link, reached) {
    this.#viewer = viewer;
    this.#link = link;
    this.#reached = reached;
  }

  /** The server accepted the stream. */
  begin() {
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
      if (isHeartbeat(frame) || this.#event(frame, lastEventId)) this.#link.progressed();
    } catch (error) {
      this.#viewer.malformed(MalformedFrameError.from(error, data));
    }
  }

  /** `lastEventId` is also there for an event that has no id of its own: it is then the one before's. */
  #event(frame, lastEventId) {
    const { runId } = this.#viewer;
    const reset = frame.payload?.reset;
    if (Number.isSafeInteger(reset?.cursor)) {
      this.#resetTo = reset.cursor;
      this.#viewer.resetting({ reason: String(reset.reason), cursor: reset.cursor });
    }
    if (this.#resetTo === null) return this.#viewer.event(eventFrom(frame, runId, Number(lastEventId)));
    const last = lastEventId === String(this.#resetTo);
    const event = eventFrom(frame, runId, last ? this.#resetTo : null);
    if (last) this.#resetTo = null;
    return this.#viewer.event(event);
  }
}
