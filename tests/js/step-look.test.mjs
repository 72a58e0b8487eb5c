/** What a step's card is given in each of the step's states. */
import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { cardAttributes } from '../../realtime/web/static/step-look.js';

const AT = '2026-11-22T09:30:05.000Z';
const QUEUED = {
  agent_type: 'qa_consultant', status: 'queued', progress_pct: 0, progress_label: null, attempt: 0, tokens_used: 0,
  error_message: null, retry_at: null, reason: null, stalled: false, cached: false, reused: false,
};

const of = (told) => cardAttributes({ ...QUEUED, ...told }, 'QA');
const running = (told) => of({ status: 'running', progress_pct: 40, progress_label: 'Reading', attempt: 1, ...told });
const completed = (told) => of({ status: 'completed', progress_pct: 100, progress_label: 'Reading', attempt: 1, ...told });

test('a step that has not started is named and else bare, but every attribute is told', () => {
  deepEqual(of({}), {
    'agent-type': 'qa_consultant', name: 'QA', status: 'queued', progress: '0',
    chip: null, paused: null, cancelled: null, label: null, message: null, attempt: null, cached: null, reused: null,
    tokens: null,
  });
});

test('a step under way moves and says what it does', () => {
  const { status, progress, chip, paused, label, message, attempt } = running();
  deepEqual([status, progress, label, attempt], ['running', '40', 'Reading', '1']);
  deepEqual([chip, paused, message], [null, null, null]);
});

test('a step that waits stands still and says until when and why', () => {
  const failed = { progress_label: 'Attempt 1 failed, trying again in 5 s', retry_at: AT, reason: 'No answer.' };
  const { status, chip, paused, cancelled, label } = running(failed);
  deepEqual([status, chip, paused, cancelled], ['running', 'Waiting', '', null]);
  equal(label, `Attempt 1 failed, trying again at ${new Date(AT).toLocaleTimeString()}: No answer.`);
  equal(running({ progress_label: 'A', retry_at: 'soon', reason: 'B' }).label, 'A: B');
});

test('a step that stalls stands still', () => {
  const { status, chip, paused, label } = running({ stalled: true });
  deepEqual([status, chip, paused, label], ['running', 'Stalled', '', 'Reading']);
});

test('a complete step says where its artifact comes from unless it is its own', () => {
  const shown = ({ status, message, cached, reused }) => [status, message, cached, reused];
  deepEqual(shown(completed()), ['complete', null, null, null]);
  deepEqual(shown(completed({ cached: true })), ['complete', 'Answered from the cache.', '', null]);
  deepEqual(shown(completed({ reused: true })), ['complete', 'Kept from the run before.', null, '']);
});

test('attempts and tokens are told as numbers', () => {
  const { attempt, tokens } = completed({ attempt: 3, tokens_used: 1204 });
  deepEqual([attempt, tokens], ['3', '1204']);
});

test('a step that failed and one that was cancelled say why, and only the first is an alarm', () => {
  const shown = (status) => of({ status, error_message: 'not started: the run was cancelled' });
  for (const status of ['failed', 'cancelled']) {
    deepEqual([shown(status).status, shown(status).message], ['error', 'not started: the run was cancelled']);
  }
  deepEqual([shown('failed').chip, shown('failed').cancelled], [null, null]);
  deepEqual([shown('cancelled').chip, shown('cancelled').cancelled, shown('cancelled').paused], ['Cancelled', '', null]);
});

test('a status of a newer server looks queued', () => {
  equal(of({ status: 'novel' }).status, 'queued');
});
