/** What is shown and what is said of a connection that comes and goes. */
import { deepEqual, equal } from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { ConnectionTruth } from '../../realtime/web/static/page/connection-truth.js';

let said;
let place;
let truth;

class Place {
  textContent = '';
  attributes = {};

  getAttribute(name) {
    return this.attributes[name] ?? null;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  said = [];
  const log = { append: (line) => said.push(line.text), children: [] };
  globalThis.document = {
    querySelector: () => log,
    createElement: () => ({ append(text) { this.text = text; } }),
  };
  place = new Place();
  truth = new ConnectionTruth(place);
});

function show(state) {
  truth.show({ state, transport: 'websocket', since: null, cursor: null, head: null });
}

test('connection lost for a moment is shown and not said', () => {
  show('live');
  show('reconnecting');
  equal(place.textContent, 'Reconnecting…');
  mock.timers.tick(1999);
  show('live');
  mock.timers.tick(10_000);
  equal(place.textContent, 'Live');
  deepEqual(said, []);
});

test('connection lost for longer is said once, and its return once', () => {
  for (const state of ['live', 'reconnecting', 'offline', 'reconnecting']) show(state);
  mock.timers.tick(2000);
  for (const state of ['offline', 'reconnecting', 'catching-up', 'live', 'catching-up', 'live']) show(state);
  mock.timers.tick(10_000);
  deepEqual(said, ['The connection is lost. Still trying.', 'The connection is back.']);
});

test('connection that catches up is not said to be lost', () => {
  for (const state of ['live', 'reconnecting', 'catching-up']) show(state);
  mock.timers.tick(10_000);
  deepEqual(said, []);
});

test('connection lost again before it was back is said once', () => {
  for (const state of ['live', 'reconnecting']) show(state);
  mock.timers.tick(2000);
  for (const state of ['catching-up', 'reconnecting']) show(state);
  mock.timers.tick(2000);
  show('live');
  deepEqual(said, ['The connection is lost. Still trying.', 'The connection is back.']);
});

test('place with words of its own has them shown, and is heard of the same', () => {
  truth = new ConnectionTruth(place, ({ state }) => (state === 'live' ? '' : `List: ${state}`));
  show('offline');
  deepEqual([place.hidden, place.textContent], [false, 'List: offline']);
  mock.timers.tick(2000);
  show('live');
  deepEqual([place.hidden, place.textContent], [true, '']);
  deepEqual(said, ['The connection is lost. Still trying.', 'The connection is back.']);
});

test('run without a connection has nothing shown of it', () => {
  show('live');
  truth.show(null);
  deepEqual([place.hidden, place.textContent, place.attributes['data-connection']], [true, '', 'closed']);
});

test('connection closed is not shown, and nothing is said of it later', () => {
  show('reconnecting');
  show('closed');
  mock.timers.tick(10_000);
  deepEqual([place.hidden, place.textContent, place.attributes['data-transport'], said], [true, '', '', []]);
});
