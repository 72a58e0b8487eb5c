/**
 * Types of `run-client.js`: runs of a Runcast server, started, watched live and cancelled from any page.
 *
 * Times in states and payloads are RFC 3339, UTC, with milliseconds; sizes of waits are milliseconds.
 */

export type RunStatus = 'queued' | 'running' | 'completed' | 'failed' | 'cancelled';
export type PipelineMode = 'sequential' | 'parallel';

/** One agent of a run, as the REST snapshot has it. */
export interface StepState {
  readonly id: string;
  readonly agent_type: string;
  /** From 1 up. */
  readonly position: number;
  readonly status: RunStatus;
  /** 0 to 100; never falls within an attempt. */
  readonly progress_pct: number;
  readonly progress_label: string | null;
  /** 0: not started. */
  readonly attempt: number;
  readonly tokens_used: number;
  readonly artifact_id: string | null;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly started_at: string | null;
  readonly completed_at: string | null;
  /** While it waits for another attempt: when that begins. */
  readonly retry_at: string | null;
  /** Why it waits, or why it failed where that is finer than its code. */
  readonly reason: string | null;
  readonly stalled: boolean;
  readonly cached: boolean;
  readonly reused: boolean;
  /** Seconds since its last progress, when this was read; null: not under way. */
  readonly progress_age_s: number | null;
}

/** A run as of event `last_event_id`: what REST answers, and what folding its events gives. */
export interface RunState {
  readonly id: string;
  readonly project_id?: string;
  readonly status: RunStatus;
  readonly pipeline_mode?: PipelineMode;
  readonly agents_selected?: readonly string[];
  /** By position. */
  readonly steps: readonly StepState[];
  readonly last_event_id: number;
  readonly total_tokens: number;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly started_by?: string;
  readonly created_at?: string;
  readonly started_at: string | null;
  readonly completed_at: string | null;
  readonly retry_of?: string | null;
  readonly cancelled_by: string | null;
  readonly heartbeat_age_s?: number | null;
  readonly server_time?: string;
}

/** One line of a list of runs. */
export interface RunSummary {
  readonly id: string;
  readonly project_id: string;
  readonly status: RunStatus;
  readonly pipeline_mode: PipelineMode;
  readonly agents_selected: readonly string[];
  /** 0 to 100, over all steps. */
  readonly progress_pct: number;
  readonly steps_completed: number;
  readonly steps_total: number;
  readonly last_event_id: number;
  readonly total_tokens: number;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly started_by: string;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly completed_at: string | null;
  readonly retry_of: string | null;
}

/** One fact about a run, as both wires carry it. */
export interface RunEvent {
  /** 1, 2, 3 … without a gap. */
  readonly id: number;
  readonly type: 'queued' | 'running' | 'complete' | 'error';
  readonly run_id: string;
  readonly payload: Readonly<Record<string, any>>;
}

/** One of the events that over SSE make up the state of a reset. A watch gives the reset instead. */
export interface ResetPart extends Omit<RunEvent, 'id'> {
  readonly id: null;
}

/**
 * Instead of events: what was known is to be forgotten, `state` is the run now, events after `cursor` follow. A cursor
 * beyond the log (`cursor_ahead_of_log`) is told at once; over SSE without a snapshot, after 15 s or at the run's end.
 */
export interface RunReset {
  readonly type: 'reset';
  readonly run_id: string;
  readonly reason: string;
  readonly cursor: number;
  readonly state: RunState;
}

/**
 * Why nothing more comes. `finished`: every event of the run has been handled. `forbidden`: the server does not let
 * this user watch (`code` NOT_AUTHENTICATED or FORBIDDEN). `gone`: there is no such run (INVALID_ID: nor can there be).
 * `invalid`: the server does not understand what it is asked (BAD_FRAME).
 */
export interface Ending {
  readonly reason: 'finished' | 'forbidden' | 'gone' | 'invalid';
  /** Stable for programs; empty for `finished`. */
  readonly code: string;
  /** For people. */
  readonly message: string;
}

export type Transport = 'websocket' | 'sse';

/**
 * - `connecting`: nothing has been heard yet, or others have all the places that there are. Over SSE a hidden page
 *   follows for some seconds of every half minute only, and is `connecting` in between.
 * - `catching-up`: connected; events up to `head` are on their way, `cursor` of them are here.
 * - `live`: everything that has happened is here, and what happens arrives. SSE does not tell how much has happened:
 *   there a replay from a cursor without a snapshot is `live`, too.
 * - `reconnecting`: the line was lost a moment ago; the next attempt is on its way.
 * - `offline`: the browser says so, or several attempts in a row brought nothing. Still trying.
 * - `closed`: nothing is asked for any more.
 */
export type ConnectionState = 'connecting' | 'catching-up' | 'live' | 'reconnecting' | 'offline' | 'closed';

export interface Connection {
  readonly state: ConnectionState;
  readonly transport: Transport;
  /** While not `live`: since when (milliseconds since 1970, the browser's clock); null while live. */
  readonly since: number | null;
  /** The last event id handled; null: none, and nothing known of the run. */
  readonly cursor: number | null;
  /** The newest event id known to exist; null: not known. */
  readonly head: number | null;
  /** Why the line was lost, where the server said so: `draining` while it restarts. */
  readonly reason: 'draining' | null;
}

export interface Malformed {
  readonly reason: string;
  /** The beginning of what could not be read. */
  readonly data: string;
}

type Listening = boolean | AddEventListenerOptions;

interface Telling<Events> extends EventTarget {
  addEventListener<K extends keyof Events>(type: K, listener: (event: Events[K]) => void, options?: Listening): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: Listening): void;
}

interface RunWatchEventMap {
  state: CustomEvent<RunState>;
  event: CustomEvent<RunEvent>;
  connection: CustomEvent<Connection>;
  reset: CustomEvent<RunReset>;
  malformed: CustomEvent<Malformed>;
  ended: CustomEvent<Ending>;
}

/**
 * One run, followed across lost connections, server restarts and transports, each event exactly once and in order.
 *
 * As an async iterator it gives every event and every reset; an event counts as handled, and is acknowledged, when the
 * next is asked for. Without an iterator an event counts as handled when the listeners of `event` have returned: a
 * loop that is to miss nothing begins, and listeners are added, in the same task as `watch`, with no `await` between. A
 * consumer slower than the run delays nobody: beyond a bound the watch stops reading and goes on from its cursor later.
 */
export interface RunWatch extends Telling<RunWatchEventMap>, AsyncIterable<RunEvent | RunReset> {
  readonly runId: string;
  /** Never runs backwards, except by a reset. */
  readonly state: RunState;
  readonly cursor: number | null;
  readonly connection: Connection;
  /** null: not yet. */
  readonly ending: Ending | null;
  /** Settles with the ending; never rejects. After `close` it settles with null. */
  readonly ended: Promise<Ending | null>;
  /** Stop following. Idempotent; nothing but `connection` `closed` is dispatched after it. */
  close(): void;
  /**
   * What comes after this call, so make it in the same task as `watch`: what came before it has been handled.
   * Ends normally after the terminal event, or after `close`.
   * @throws {WatchEndedError} the server says no
   */
  [Symbol.asyncIterator](): AsyncIterator<RunEvent | RunReset>;
}

/** A watch that is iterated was refused: it ended, and not with `finished`. */
export class WatchEndedError extends Error {
  constructor(ending: Ending);
  readonly ending: Ending;
}

interface ProjectWatchEventMap {
  runs: CustomEvent<readonly RunSummary[]>;
  connection: CustomEvent<Connection>;
  ended: CustomEvent<Ending>;
}

/**
 * The newest runs of a project, kept as they are. Over the WebSocket they are told by the server; where there is
 * none, or the role does not include watching live, they are asked for: every 5 s, every 30 s where the page is hidden.
 */
export interface ProjectWatch extends Telling<ProjectWatchEventMap> {
  readonly projectId: string;
  /** Newest first. */
  readonly runs: readonly RunSummary[];
  /** `live`: they are as the server has them, where they are asked for as of the last time. No `cursor`, no `head`. */
  readonly connection: Connection;
  close(): void;
}

export interface RunClientOptions {
  /** Where the server is, an origin without a path; the page's own by default. */
  url?: string | URL;
  /**
   * For a page of another origin, which has no cookie of the server: the token, or a function that fetches one, called
   * for each connection and request. `expiring`: the one in use is about to expire, another is to take its place;
   * `refused`: the server has refused the one before. Then one that was kept will not do.
   */
  token?: string | ((why: { refused: boolean; expiring: boolean }) => string | Promise<string>);
  /** Whose runs `start`, `snapshot`, `cancel` and `retry` mean; by default the first of the user's projects. */
  projectId?: string;
  /** 1 to 64 characters, stable for a viewer: without a cursor a watch goes on after what this client acknowledged. */
  clientId?: string;
}

export interface RequestOptions {
  projectId?: string;
}

export interface StartOptions extends RequestOptions {
  mode?: PipelineMode;
  /** A UUID; asking again with the same id starts nothing twice. By default a fresh one for each call. */
  runId?: string;
  /** false: ask the model even what it was asked before. */
  useCache?: boolean;
}

export interface WatchOptions {
  /** The last event id that is known, from 0 up; by default that of `snapshot`. */
  after?: number | null;
  /** The run as it was; its `server_time` sets `now()` where no later time of the server is known. */
  snapshot?: RunState;
}

/** The server refused; or (`status` 0) did not answer within 20 s, or something else did. `message` is for people. */
export class RequestError extends Error {
  constructor(status: number, code: string, message: string, unknownOutcome?: boolean);
  readonly status: number;
  readonly code: string;
  /** True where the request may have been obeyed although no answer came, or none that says so. */
  readonly unknownOutcome: boolean;
}

/** One server. Any number of runs are watched over one connection, which is opened by the first `watch`. */
export class RunClient {
  /** @throws {TypeError} `url` is no server's or is missing where there is no page of one, or `clientId` is none */
  constructor(options?: RunClientOptions);
  readonly url: string;
  /** The server's clock now, in milliseconds since 1970; until the server has told it, this computer's. */
  now(): number;
  /**
   * Follow a run: from what `snapshot` or `after` say, else from where `clientId` was, else from the first event. Of
   * two watches of one run, acknowledged is what both have handled. Beyond what the server allows on one connection
   * (64, projects first), a watch is `connecting` until another has ended; beyond 4 over SSE, they take turns.
   * @throws {TypeError} the id is no string, `after` no cursor, or the snapshot none of this run
   */
  watch(runId: string, options?: WatchOptions): RunWatch;
  /** The runs of a project, kept as they are; `runs`: what is known of them. @throws {TypeError} the id is no string */
  watchProject(projectId: string, options?: { runs?: readonly RunSummary[] }): ProjectWatch;
  /** The run as it is now. @throws {RequestError} */
  snapshot(runId: string, options?: RequestOptions): Promise<RunState>;
  /** Start a run of these agents. @throws {RequestError} */
  start(agents: readonly string[], options?: StartOptions): Promise<RunState>;
  /** End the run; it stays as it is where it has ended. @throws {RequestError} */
  cancel(runId: string, options?: RequestOptions): Promise<RunState>;
  /** Do again, in a new run, what a run did not complete. @throws {RequestError} */
  retry(runId: string, options?: RequestOptions & { newRunId?: string }): Promise<RunState>;
  /** End every watch and the connection. Idempotent. */
  close(): void;
}

/** The state after `event`, a new object; the same object where `event` is already contained in it. Pure. */
export function applyEvent(state: RunState, event: RunEvent | ResetPart): RunState;
/** A run of which nothing is known yet. */
export function emptyState(runId: string): RunState;
