/** The modules where there is no page, as on a server that renders some. */
import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';

test('elements are there to be imported, and nothing is fetched for them', async () => {
  let fetched = 0;
  globalThis.fetch = async () => { fetched += 1; };
  const { AgentRun } = await import('../../realtime/web/static/agent-run.js');
  const { AgentStatusCard } = await import('../../realtime/web/static/agent-status-card.js');
  equal(typeof AgentRun, 'function');
  equal(typeof AgentStatusCard, 'function');
  equal(fetched, 0);
});

test('a client has to be told of its server', async () => {
  const { RunClient } = await import('../../realtime/web/static/run-client.js');
  throws(() => new RunClient(), { name: 'TypeError', message: /pass \{ url: / });
  equal(new RunClient({ url: 'https://runs.example.org' }).url, 'https://runs.example.org');
});
