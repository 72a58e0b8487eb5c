/** Starting something once, although its answer got lost. */
import { equal, notEqual, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { AskedAgain } from '../../realtime/web/static/page/asked-again.js';

const lost = Object.assign(new Error('lost'), { unknownOutcome: true });
const refused = Object.assign(new Error('refused'), { unknownOutcome: false });

/** The id that was sent, and then this failure, if there is one. */
async function sent(asked, wanted, failure = null) {
  let sentId;
  const answer = asked.send(wanted, async (id) => {
    sentId = id;
    if (failure) throw failure;
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
