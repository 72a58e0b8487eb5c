/** Everything that `run-client.d.ts` declares, used: this compiles, and the lines that must not are marked. */
import {
  RequestError, RunClient, WatchEndedError, applyEvent, emptyState,
  type Connection, type Ending, type ProjectWatch, type ResetPart, type RunEvent, type RunReset, type RunState,
  type RunSummary, type RunWatch, type WatchOptions,
} from '../../../realtime/web/static/run-client.js';

const own = new RunClient();
const named = new RunClient({ url: 'https://runcast.test', token: 'secret', clientId: 'tab-1', projectId: 'p1' });
const elsewhere = new RunClient({
  url: new URL('https://runcast.test'),
  token: async ({ refused, expiring }) => (await fetch(`/token?again=${refused || expiring}`)).text(),
});
const url: string = own.url;
const now: number = named.now();
// @ts-expect-error a token is no number
new RunClient({ token: 7 });

async function follow(client: RunClient): Promise<Ending | null> {
  const run: RunState = await client.start(['qa_consultant'], { mode: 'parallel', runId: 'r1', useCache: false });
  const watch: RunWatch = client.watch(run.id, { snapshot: run, after: 7 });
  for await (const item of watch) {
    if (item.type === 'reset') forget(item);
    else take(item);
  }
  const { reason }: Connection = watch.connection;
  const cursor: number | null = watch.cursor;
  console.log(watch.runId, watch.state.steps[0]?.progress_pct, reason, cursor, watch.ending?.code);
  watch.close();
  return watch.ended;
}

function again(client: RunClient, before: RunWatch): RunWatch {
  const known: WatchOptions = { after: before.cursor };
  // @ts-expect-error an event id is a number
  client.watch(before.runId, { after: '7' });
  return client.watch(before.runId, known);
}

function forget(reset: RunReset): RunState {
  return reset.state;
}

function take(event: RunEvent | ResetPart): RunState {
  return applyEvent(emptyState(event.run_id), event);
}

function listen(watch: RunWatch): void {
  watch.addEventListener('state', ({ detail }) => console.log(detail.status, detail.steps.length));
  watch.addEventListener('event', ({ detail }) => console.log(detail.id.toFixed(), detail.payload['progress_pct']));
  watch.addEventListener('reset', ({ detail }) => console.log(detail.cursor));
  watch.addEventListener('malformed', ({ detail }) => console.log(detail.reason, detail.data));
  watch.addEventListener('ended', ({ detail }) => console.log(detail.reason === 'gone', detail.message));
  watch.addEventListener('connection', ({ detail: { state, transport, since, head } }) => {
    if (state === 'catching-up') console.log(transport === 'sse', since, head);
    // @ts-expect-error no connection is called so
    if (state === 'open') throw new Error();
  }, { once: true });
  const anything: EventListener = (event) => console.log(event.type);
  watch.addEventListener('state', anything);
  watch.removeEventListener('state', anything);
}

function list(client: RunClient, known: readonly RunSummary[]): ProjectWatch {
  const watch = client.watchProject('p1', { runs: known });
  watch.addEventListener('runs', ({ detail }) => console.log(detail[0]?.steps_completed, watch.runs === detail));
  watch.addEventListener('connection', ({ detail }) => console.log(detail.state === watch.connection.state));
  watch.addEventListener('ended', ({ detail }) => console.log(detail.code, watch.projectId));
  return watch;
}

async function ask(client: RunClient): Promise<RunState | null> {
  try {
    await client.cancel('r1', { projectId: 'p2' });
    await client.retry('r1', { newRunId: 'r2' });
    return await client.snapshot('r2');
  } catch (error) {
    if (error instanceof RequestError) console.log(error.status, error.code, error.unknownOutcome, error.message);
    if (error instanceof WatchEndedError) console.log(error.ending.reason);
    return null;
  } finally {
    client.close();
  }
}

console.log(url, now, follow(own), ask(elsewhere), list(named, []), listen(own.watch('r1')), again(own, own.watch('r1')));

import type { AgentRun } from '../../../realtime/web/static/agent-run.js';
import '../../../realtime/web/static/agent-status-card.js';

const element: AgentRun = document.createElement('agent-run');
element.client = named;
element.runId = null;
element.addEventListener('run-ended', ({ detail }) => console.log(detail.reason satisfies Ending['reason']));
document.createElement('agent-status-card').setAttribute('status', 'running');
// @ts-expect-error a run id is no number
element.runId = 7;
