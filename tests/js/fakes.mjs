/** A browser whose network and time are in the hands of a test. */
import { RunClient } from '../../realtime/web/static/run-client.js';

export const ORIGIN = 'https://runcast.test';
export const RUN = '11111111-2222-4333-8444-555555555555';
export const PROJECT = '99999999-8888-4777-8666-555555555555';
const BOOTED = Date.parse('2026-11-23T09:00:00.000Z');

/** Promises that are due have been kept. */
export const settled = () => new Promise((resolve) => setTimeout(resolve));

export class FakeSocket {
  readyState = 0;
  sent = [];
  closedWith = null;

  constructor(url, subprotocol) {
    Object.assign(this, { url, subprotocol });
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 3;
    this.closedWith = code;
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  receive(frame) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }

  lose(code = 1006, reason = '') {
    this.readyState = 3;
    this.onclose({ code, reason });
  }

  /** The frames of one kind that were sent. */
  of(op) {
    return this.sent.filter((frame) => frame.op === op);
  }

  /** As a server does: welcome. */
  welcome(more = {}) {
    this.open();
    this.receive({ ...welcome, ...more });
  }

  /** As a server does: answer the latest `subscribe` of the snapshot's run. */
  subscribed(of, cursor = of.last_event_id) {
    const { ref } = this.of('subscribe').findLast(({ run_id }) => run_id === of.id);
    const head = of.last_event_id;
    this.receive({ op: 'subscribed', ref, run_id: of.id, snapshot: of, cursor, head, resumed: true });
  }
}

export class FakeSource {
  readyState = 0;
  lastEventId = '';
  closed = false;

  constructor(url) {
    this.url = new URL(url);
  }

  close() {
    this.closed = true;
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  /** As a browser does, an event without an id of its own carries the id of the one before. */
  receive(body, id = null) {
    if (id !== null) this.lastEventId = String(id);
    const data = typeof body === 'string' ? body : JSON.stringify(body);
    this.onmessage?.({ data, lastEventId: this.lastEventId });
  }

  fail(readyState = 0) {
    this.readyState = readyState;
    this.onerror();
  }
}

/** One body that a test writes while it is read. */
export class FakeBody {
  #controller;
  stream = new ReadableStream({
    start: (controller) => {
      this.#controller = controller;
    },
  });

  write(text) {
    this.#controller.enqueue(typeof text === 'string' ? new TextEncoder().encode(text) : text);
  }

  end() {
    this.#controller.close();
  }

  fail() {
    this.#controller.error(new TypeError('network error'));
  }
}

/** Time stands still but for `advance`; `random` is always as late as it gets. */
export class World {
  sockets = [];
  sources = [];
  /**
   * What was fetched, and what is answered to it in that order: a status, `[status, body]`, an Error, or a promise. A
   * body that is a text is no server's, but a proxy's.
   */
  asked = [];
  answers = [];
  now = Date.parse('2026-11-23T10:00:00.000Z');
  /** By how much somebody has set the computer's clock. */
  set = 0;
  /** How long the computer has slept: some browsers do not count that. */
  slept = 0;
  online = true;
  hidden = false;
  #timers = new Map();
  #next = 1;
  #listeners = new Map();

  env = {
    WebSocket: recording(FakeSocket, this.sockets),
    EventSource: recording(FakeSource, this.sources),
    fetch: async (url, options = {}) => {
      this.asked.push({ url, ...options });
      const answer = await this.answers.shift();
      if (answer instanceof Error) throw answer;
      return response(options.method, ...[answer].flat());
    },
    setTimeout: (callback, ms) => {
      this.#timers.set(this.#next, { callback, at: this.now + ms });
      return this.#next++;
    },
    clearTimeout: (timer) => this.#timers.delete(timer),
    now: () => this.now + this.set,
    monotonic: () => this.now - this.slept - BOOTED,
    random: () => 1,
    address: () => `${ORIGIN}/projects/p1`,
    online: () => this.online,
    hidden: () => this.hidden,
    listen: (type, listener) => {
      this.#listeners.set(listener, type);
      return () => this.#listeners.delete(listener);
    },
  };

  get socket() {
    return this.sockets.at(-1);
  }

  get source() {
    return this.sources.at(-1);
  }

  /** How many listen to the page. */
  get listeners() {
    return this.#listeners.size;
  }

  /** How long until something is due; null: nothing is. */
  get due() {
    const times = [...this.#timers.values()].map(({ at }) => at - this.now);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Have the page say `online`, `offline` or `visibilitychange`. */
  fire(type) {
    for (const [listener, wanted] of [...this.#listeners]) if (wanted === type) listener();
  }

  /** Let time pass, and everything happen that is due in it. */
  advance(ms) {
    const until = this.now + ms;
    for (;;) {
      const [timer, first] = [...this.#timers].sort((a, b) => a[1].at - b[1].at)[0] ?? [];
      if (first === undefined || first.at > until) break;
      this.#timers.delete(timer);
      this.now = first.at;
      first.callback();
    }
    this.now = until;
  }

  /** Have the computer sleep, and its timers with it. */
  sleep(ms) {
    this.now += ms;
    this.slept += ms;
  }

  /** A client in this world. */
  client(options = {}) {
    return new RunClient(options, this.env);
  }
}

/** The type tells what it is; the head of an answer is all that HEAD gets. */
function response(method, status, content) {
  const [type, sent] = content instanceof FakeBody
    ? ['text/event-stream; charset=utf-8', content.stream]
    : typeof content === 'string' ? ['text/html', content] : ['application/json', JSON.stringify(content)];
  const headers = content === undefined ? {} : { 'Content-Type': type };
  return new Response(method === 'HEAD' ? null : sent, { status, headers });
}

function recording(Kind, made) {
  return class extends Kind {
    constructor(...given) {
      super(...given);
      made.push(this);
    }
  };
}

/** A run of two agents as of `head`: 1 and 2 queue them. */
export function snapshot(head = 2, changes = {}) {
  const step = { status: 'queued', progress_pct: 0, progress_label: null, attempt: 0, error_message: null };
  return {
    id: RUN,
    status: 'queued',
    steps: [
      { ...step, id: 's1', agent_type: 'ba_consultant', position: 1 },
      { ...step, id: 's2', agent_type: 'qa_consultant', position: 2 },
    ],
    last_event_id: head,
    ...changes,
  };
}

/** The object that both wires carry. */
export const body = (type, payload, run_id = RUN) => ({ type, run_id, payload });
export const queued = (step, position) => body('queued', { step_id: step, agent_type: `agent-${step}`, position });
export const running = (step, progress) =>
  body('running', { step_id: step, progress_pct: progress, progress_label: 'Reading' });
export const complete = (step) => body('complete', { step_id: step, artifact_id: `a-${step}` });
export const success = () => body('complete', { run_id: RUN, all_done: true });
export const failure = (message) =>
  body('complete', { run_id: RUN, all_done: true, error: true, error_code: 'STEP_FAILED', message });
export const heartbeat = () => ({ type: 'heartbeat', payload: {} });
/** As the WebSocket has it. */
export const event = (id, what) => ({ id, ...what });

export const welcome = { op: 'welcome', heartbeat_s: 15, limits: { subscriptions: 64 } };

/** What a watch dispatched, in order: `[type, detail]`. */
export function recorded(watch) {
  const seen = [];
  for (const type of ['state', 'event', 'connection', 'reset', 'malformed', 'ended', 'runs']) {
    watch.addEventListener(type, ({ detail }) => seen.push([type, detail]));
  }
  seen.of = (type) => seen.filter(([kind]) => kind === type).map(([, detail]) => detail);
  seen.states = () => seen.of('connection').map(({ state }) => state);
  return seen;
}

/** A run of which two events are known, followed over a WebSocket, live. */
export function live({ known = { snapshot: snapshot() }, client: options = {} } = {}) {
  const world = new World();
  const client = world.client(options);
  const watch = client.watch(RUN, known);
  const seen = recorded(watch);
  world.socket.welcome();
  world.socket.subscribed(snapshot());
  return { world, client, watch, seen };
}

/** The same without WebSocket, over an EventSource. */
export function streamed(known = { snapshot: snapshot() }) {
  const world = new World();
  world.env.WebSocket = undefined;
  const watch = world.client().watch(RUN, known);
  const seen = recorded(watch);
  world.source.open();
  return { world, watch, seen };
}
