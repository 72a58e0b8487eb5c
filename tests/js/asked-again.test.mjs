/** Starting something once, although its answer got lost. */
import { equal, notEqual, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { AskedAgain } from '../../realtime/web/static/page/asked-again.js';

const lost = Object.assign(new Error('lost'), { unknownOutcome: true });
const refused = Object.assign(new Error('refused'), { unknownOutcome: false });

/** The id that was sent last, and then this failure, if there is one; `ids` of runs have ended. */
async function sent(asked, wanted, failure = null, ended = []) {
  let sentId;
  const answer = asked.send(wanted, async (id) => {
    sentId = id;
    if (failure && !ended.includes(id)) throw failure;
    return { id, status: ended.includes(id) ? 'failed' : 'running' };
  });
  await (failure ? rejects(answer, failure) : answer);
  return sentId;
}

test('same request after an unknown outcome has the same id', async () => {
  const asked = new AskedAgain();
  const first = await sent(asked, { agents: ['a'] }, lost);
  equal(await sent(asked, { agents: ['a'] }, lost), first);
  equal(await sent(asked, { agents: ['a'] }), first);
});

test('answered request is not repeated', async () => {
  const asked = new AskedAgain();
  const first = await sent(asked, { agents: ['a'] });
  const second = await sent(asked, { agents: ['a'] }, refused);
  notEqual(second, first);
  notEqual(await sent(asked, { agents: ['a'] }), second);
});

test('another request has another id', async () => {
  const asked = new AskedAgain();
  const first = await sent(asked, { agents: ['a'] }, lost);
  notEqual(await sent(asked, { agents: ['b'] }), first);
});

test('same request after a run that has ended meanwhile is another', async () => {
  const asked = new AskedAgain();
  const first = await sent(asked, { agents: ['a'] }, lost);
  const second = await sent(asked, { agents: ['a'] }, lost, [first]);
  notEqual(second, first);
  equal(await sent(asked, { agents: ['a'] }), second);
});

test('run that has ended by the time of its first answer is the one that was wanted', async () => {
  const asked = new AskedAgain();
  const run = await asked.send({ agents: ['a'] }, async (id) => ({ id, status: 'completed' }));
  equal(run.status, 'completed');
});
