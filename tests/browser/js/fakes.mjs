/** A browser whose network and time are in the hands of a test. */

export const RUN = '11111111-2222-4333-8444-555555555555';

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

/** Time stands still but for `advance`; `random` is always as late as it gets. */
export class World {
  sockets = [];
  sources = [];
  asked = [];
  answers = [];
  now = 0;
  #timers = new Map();
  #next = 1;

  env = {
    WebSocket: recording(FakeSocket, this.sockets),
    EventSource: recording(FakeSource, this.sources),
    fetch: async (url, options) => {
      this.asked.push({ url, ...options });
      return { status: this.answers.shift() };
    },
    setTimeout: (callback, ms) => {
      this.#timers.set(this.#next, { callback, at: this.now + ms });
      return this.#next++;
    },
    clearTimeout: (timer) => this.#timers.delete(timer),
    random: () => 1,
    online: () => true,
  };

  get socket() {
    return this.sockets.at(-1);
  }

  get source() {
    return this.sources.at(-1);
  }

  /** How long until something is due; null: nothing is. */
  get due() {
    const times = [...this.#timers.values()].map(({ at }) => at - this.now);
    return times.length === 0 ? null : Math.min(...times);
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
export const body = (type, payload) => ({ type, run_id: RUN, payload });
export const queued = (step, position) => body('queued', { step_id: step, agent_type: `agent-${step}`, position });
export const running = (step, progress) => body('running', { step_id: step, progress_pct: progress, progress_label: 'Reading' });
export const complete = (step) => body('complete', { step_id: step, artifact_id: `a-${step}` });
export const success = () => body('complete', { run_id: RUN, all_done: true });
export const failure = (message) =>
  body('complete', { run_id: RUN, all_done: true, error: true, error_code: 'STEP_FAILED', message });
export const heartbeat = () => ({ type: 'heartbeat', payload: {} });

export const welcome = { op: 'welcome', heartbeat_s: 15 };
export const subscribed = (of, cursor = of.last_event_id) => ({
  op: 'subscribed', run_id: RUN, snapshot: of, cursor, head: of.last_event_id, resumed: true,
});

/** What a client dispatched, in order: `[type, detail]`. */
export function recorded(client) {
  const seen = [];
  for (const type of ['state', 'event', 'connection', 'reset', 'malformed', 'ended']) {
    client.addEventListener(type, ({ detail }) => seen.push([type, detail]));
  }
  seen.of = (type) => seen.filter(([kind]) => kind === type).map(([, detail]) => detail);
  return seen;
}
