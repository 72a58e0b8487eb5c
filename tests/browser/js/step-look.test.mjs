import { lookOf } from '/static/step-look.js';
import { equal, test } from './harness.mjs';

const step = (told) => ({ status: 'running', progress_label: 'Reading', retry_at: null, error_message: null, ...told });

test('a step under way moves and says what it does', () => {
  equal(lookOf(step()), { status: 'running', chip: '', paused: false, label: 'Reading', message: '' });
});

test('a step that waits stands still and says until when and why', () => {
  const at = '2026-11-22T09:30:05.000Z';
  const look = lookOf(step({ progress_label: 'Attempt 1 failed', retry_at: at, reason: 'No answer.' }));
  equal([look.status, look.chip, look.paused], ['running', 'Waiting', true]);
  equal(look.label, `Attempt 1 failed (at ${new Date(at).toLocaleTimeString()}): No answer.`);
  equal(lookOf(step({ progress_label: 'A', retry_at: 'soon', reason: 'B' })).label, 'A: B');
});

test('a step that stalls stands still', () => {
  const { status, chip, paused, label } = lookOf(step({ stalled: true }));
  equal([status, chip, paused, label], ['running', 'Stalled', true, 'Reading']);
});

test('a complete step says where its artifact comes from unless it is its own', () => {
  const of = (told) => lookOf(step({ status: 'completed', ...told }));
  equal([of({}).status, of({}).message], ['complete', '']);
  equal(of({ reused: true }).message, 'Kept from the run before.');
  equal(of({ cached: true }).message, 'Answered from the cache.');
});

test('a cancelled step is no error by its chip', () => {
  const of = (status) => lookOf(step({ status, error_message: 'not started: the run was cancelled' }));
  equal([of('cancelled').status, of('cancelled').chip, of('failed').chip], ['error', 'Cancelled', '']);
  equal(of('cancelled').message, 'not started: the run was cancelled');
});

test('a status of a newer server looks queued', () => {
  equal(lookOf(step({ status: 'novel' })).status, 'queued');
});
