/** A run that is asked for every few seconds, where it may not be watched. */
import { deepEqual, equal } from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { RefreshedRun } from '../../realtime/web/static/page/refreshed-run.js';

const at = (id, status = 'running') => ({ id: 'r', status, last_event_id: id });

let answers;
let told;
let run;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setInterval', 'Date'] });
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  answers = [];
  told = [];
  run = new RefreshedRun({ snapshot: async () => answers.shift()() }, at(5));
  run.addEventListener('state', ({ detail }) => told.push(detail.last_event_id));
  run.addEventListener('ended', ({ detail }) => told.push(`${detail.reason} ${detail.code}`));
});

/** Let five seconds pass, in which the server answers so. */
async function answered(answer) {
  answers.push(answer);
  mock.timers.tick(5000);
  await new Promise((resolve) => { setImmediate(resolve); });
}

const refused = (status, code) => () => Promise.reject(Object.assign(new Error('no'), { status, code }));

test('run refreshed is told of until it has ended', async () => {
  await answered(() => at(6));
  await answered(() => at(9, 'completed'));
  await answered(() => at(10));
  deepEqual(told, [6, 9, 'finished ']);
});

test('run refreshed never runs backwards', async () => {
  await answered(() => at(4));
  deepEqual(told, []);
});

test('server that does not answer is asked again', async () => {
  await answered(refused(0, 'UNREACHABLE'));
  await answered(refused(503, 'UNAVAILABLE'));
  await answered(() => at(6));
  deepEqual(told, [6]);
});

test('run is late as of the last answer, until there is one again', async () => {
  const late = [];
  run.addEventListener('late', ({ detail }) => late.push(detail));
  await answered(refused(503, 'UNAVAILABLE'));
  await answered(() => at(5));
  await answered(refused(503, 'UNAVAILABLE'));
  deepEqual(late, [0, null, 10_000]);
});

test('server that says no is not asked again', async () => {
  await answered(refused(401, 'NOT_AUTHENTICATED'));
  await answered(() => at(6));
  deepEqual(told, ['forbidden NOT_AUTHENTICATED']);
});

test('run that is gone is told of as such', async () => {
  await answered(refused(404, 'RUN_NOT_FOUND'));
  deepEqual(told, ['gone RUN_NOT_FOUND']);
});

/** Somebody begins to look at the tab, or looks elsewhere. */
async function seen(hidden) {
  document.hidden = hidden;
  document.dispatchEvent(new Event('visibilitychange'));
  await new Promise((resolve) => { setImmediate(resolve); });
}

test('tab that nobody looks at asks more seldom, and hears of the end', async () => {
  await seen(true);
  await answered(() => at(6));
  equal(answers.length, 1);
  mock.timers.tick(20_000);
  equal(answers.length, 1);
  answers[0] = () => at(6, 'completed');
  await answered(() => at(7));
  deepEqual(told, [6, 'finished ']);
});

test('tab that is looked at again asks at once', async () => {
  await seen(true);
  answers.push(() => at(6));
  await seen(false);
  deepEqual(told, [6]);
  await answered(() => at(7));
  deepEqual(told, [6, 7]);
});

test('run closed does not ask when its tab is looked at', async () => {
  run.close();
  answers.push(() => at(6));
  await seen(false);
  equal(answers.length, 1);
});

test('run closed while it was asked for is not told of', async () => {
  await answered(() => {
    run.close();
    return at(6);
  });
  deepEqual(told, []);
});
