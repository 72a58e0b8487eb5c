/** Cancelling a run takes two clicks that were meant as two, and says what is known of it. */
import { deepEqual, equal } from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { RunActions } from '../../realtime/web/static/page/run-actions.js';

class Button extends EventTarget {
  textContent = 'Cancel run';
  attributes = {};

  getAttribute(name) {
    return this.attributes[name] ?? null;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  removeAttribute(name) {
    delete this.attributes[name];
  }

  contains(element) {
    return element === this;
  }

  click(clicks = 1) {
    this.dispatchEvent(Object.assign(new Event('click'), { detail: clicks }));
  }
}

let cancel;
let cancelled;
let notices;
let failure;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  cancel = new Button();
  cancelled = [];
  notices = [];
  failure = null;
  const title = { focus: () => { document.activeElement = title; } };
  const places = { children: [], append: (notice) => notices.push(notice.text) };
  globalThis.location = { pathname: '/projects/p/runs/r', search: '' };
  globalThis.document = {
    activeElement: cancel,
    querySelector: (selector) => ({ '#run-title': title, '#notices': places })[selector],
    createElement: () => Object.assign(new EventTarget(), {
      dataset: {}, text: '', append(...content) { this.text += content.map((one) => one.text ?? one).join(''); },
    }),
  };
  const client = {
    async cancel(id) {
      cancelled.push(id);
      if (failure) throw failure;
    },
  };
  const parts = { '[data-part="cancel"]': cancel, '[data-part="retry"]': new Button() };
  const actions = new RunActions({ querySelector: (part) => parts[part] }, client, { may_start: true, may_cancel: true });
  actions.draw({ id: 'r', status: 'running' });
  cancel.draw = (status) => actions.draw({ id: 'r', status });
});

const settled = () => new Promise((resolve) => { setImmediate(resolve); });

test('second click after a moment cancels, once', async () => {
  cancel.click();
  mock.timers.tick(500);
  equal(cancel.getAttribute('data-confirms'), '');
  cancel.click();
  cancel.click();
  await settled();
  deepEqual(cancelled, ['r']);
  equal(cancel.getAttribute('aria-disabled'), 'true');
});

test('click that belongs to the first one does not confirm it', () => {
  cancel.click();
  cancel.click();
  mock.timers.tick(499);
  cancel.click();
  mock.timers.tick(1);
  cancel.click(2);
  deepEqual(cancelled, []);
  equal(cancel.textContent, 'Really cancel?');
});

test('question without an answer is withdrawn', () => {
  cancel.click();
  mock.timers.tick(500);
  mock.timers.tick(5000);
  equal(cancel.textContent, 'Cancel run');
  equal(cancel.getAttribute('data-confirms'), null);
});

test('Enter that is held presses the button once', () => {
  const key = (repeat) => Object.assign(new Event('keydown', { cancelable: true }), { key: 'Enter', repeat });
  equal(cancel.dispatchEvent(key(false)), true);
  equal(cancel.dispatchEvent(key(true)), false);
});

for (const [what, how, said] of [
  ['with an outcome that is not known', { unknownOutcome: true }, 'It is not known whether the run was cancelled; try again.'],
  ['with an outcome that is known', { status: 409 }, 'The run was not cancelled. No.'],
  ['for want of a session', { status: 401, code: 'NOT_AUTHENTICATED' }, 'The run was not cancelled. You are no longer signed in. Sign in'],
]) {
  test(`failure ${what} says so`, async () => {
    failure = Object.assign(new Error('No.'), how);
    cancel.click();
    mock.timers.tick(500);
    cancel.click();
    await settled();
    deepEqual(notices, [`${said}Dismiss`]);
    deepEqual([cancel.textContent, cancel.getAttribute('aria-disabled')], ['Cancel run', null]);
  });
}

test('focus on a button that goes away is the title’s', () => {
  cancel.draw('cancelled');
  equal(cancel.hidden, true);
  equal(document.activeElement, document.querySelector('#run-title'));
});
