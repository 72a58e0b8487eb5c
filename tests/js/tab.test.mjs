/** What the tab says of a run. */
import { equal } from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { showInTab } from '../../realtime/web/static/page/tab.js';

const RUN = { status: 'running', steps: [{ status: 'running', progress_pct: 40 }] };

beforeEach(() => {
  globalThis.document = { title: '', querySelector: () => ({ href: '' }) };
});

test('title says how far the run is', () => {
  showInTab(RUN, 'Shop', false);
  equal(document.title, '40 % · Running · Shop · Runcast');
});

test('title of a run without news says so first', () => {
  showInTab(RUN, 'Shop', true);
  equal(document.title, 'Offline · 40 % · Running · Shop · Runcast');
});
