/** What the page claims of its connection. */
import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import { connectionText } from '../../realtime/web/static/elements/connection-text.js';

const text = (told) => connectionText({ since: null, cursor: null, head: null, ...told });
const AFTERNOON = new Date(2026, 1, 28, 14, 5, 59).getTime();

test('connection of each state is said in words', () => {
  equal(text({ state: 'connecting' }), 'Connecting…');
  equal(text({ state: 'live' }), 'Live');
  equal(text({ state: 'reconnecting', since: AFTERNOON }), 'Reconnecting…');
  equal(text({ state: 'reconnecting', reason: 'draining' }), 'The server restarts…');
});

test('connection catching up says how far, where that is known', () => {
  equal(text({ state: 'catching-up', cursor: 12, head: 40 }), 'Catching up 12 of 40');
  equal(text({ state: 'catching-up', head: 40 }), 'Catching up 0 of 40');
  equal(text({ state: 'catching-up', cursor: 12 }), 'Catching up…');
});

test('connection offline says since when, as times are written there', () => {
  const time = new Date(AFTERNOON).toLocaleTimeString(undefined, { timeStyle: 'short' });
  equal(text({ state: 'offline', since: AFTERNOON }), `Offline since ${time}, still trying`);
  equal(text({ state: 'offline' }), 'Offline, still trying');
});

test('connection closed, or of another kind, claims nothing', () => {
  equal(text({ state: 'closed' }), '');
  equal(text({ state: 'unheard-of' }), '');
});
