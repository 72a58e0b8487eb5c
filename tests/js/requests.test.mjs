/** How the page asks for what is not about runs, with the cookie that it has. */
import { deepEqual, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { Requests } from '../../realtime/web/static/client/requests.js';

test('files are sent as they are, and have longer than other requests until the server counts as out of reach', async () => {
  const [asked, waits] = [[], []];
  const env = {
    fetch: (url, { method, headers, body }) => {
      asked.push([url, method, headers, body]);
      return new Promise(() => {});
    },
    setTimeout: (late, ms) => {
      waits.push(ms);
      queueMicrotask(late);
    },
    clearTimeout: () => {},
  };
  const requests = new Requests({ url: '', token: undefined, env }, () => {});
  const form = new FormData();
  await rejects(requests.get('/documents'), { status: 0, code: 'UNREACHABLE' });
  await rejects(requests.upload('/documents', form), { status: 0, code: 'UNREACHABLE' });
  deepEqual(asked, [['/documents', undefined, undefined, undefined], ['/documents', 'POST', undefined, form]]);
  deepEqual(waits, [20_000, 300_000]);
});
