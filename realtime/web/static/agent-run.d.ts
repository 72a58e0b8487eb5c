/** Types of `agent-run.js`. */
import type { Ending, RunClient, RunState } from './run-client.js';

interface AgentRunEventMap extends HTMLElementEventMap {
  /** The run after each change. */
  'run-state': CustomEvent<RunState>;
  'run-ended': CustomEvent<Ending>;
}

/** `<agent-run run-id url>`: a run, live. It reflects `status`, `progress` and `connection` as attributes. */
export class AgentRun extends HTMLElement {
  /** A client to use instead of one made for the element; it stays yours to close. */
  client: RunClient | null;
  /** Reflects `run-id`; null: none is followed. */
  runId: string | null;
  /** Reflects `url`; null: the page's own origin. */
  url: string | null;
  addEventListener<K extends keyof AgentRunEventMap>(
    type: K, listener: (event: AgentRunEventMap[K]) => void, options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'agent-run': AgentRun;
  }
}
