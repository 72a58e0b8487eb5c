/** What is said of cards to those who do not see them. */
import { deepEqual } from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

/** As much of an element as a card is made with. */
class Card {
  dataset = {};
  #attributes = new Map();

  getAttribute(name) {
    return this.#attributes.get(name) ?? null;
  }

  setAttribute(name, value) {
    this.#attributes.set(name, value);
  }

  removeAttribute(name) {
    this.#attributes.delete(name);
  }
}

const STEP = {
  id: 's', agent_type: 'qa_consultant', status: 'running', progress_pct: 0, progress_label: 'Reading', attempt: 1,
  tokens_used: 0, error_message: null, retry_at: null, reason: null, stalled: false, cached: false, reused: false,
};
const WAITS = { progress_label: 'Attempt 1 failed', retry_at: '2026-11-22T09:30:05.000Z', reason: 'No answer.' };

let said;
let cards;

beforeEach(async () => {
  said = [];
  const place = { children: [], replaceChildren(...children) { this.children = children; } };
  const lines = { children: [], append: (line) => said.push(line.text) };
  globalThis.document = {
    querySelector: () => lines,
    createElement: (tag) => (tag === 'p' ? { append(text) { this.text = text; } } : new Card()),
  };
  const { Cards } = await import('../../realtime/web/static/page/cards.js');
  cards = new Cards(place, { of: () => 'QA', within: (message) => message });
  cards.draw([{ ...STEP, status: 'queued' }]);
});

const drawn = (told) => cards.draw([{ ...STEP, ...told }]);

test('card is told of when its status changes, not its progress', () => {
  drawn();
  drawn({ progress_pct: 40, progress_label: 'Writing' });
  drawn({ status: 'completed', progress_pct: 100 });
  deepEqual(said, ['QA: running', 'QA: complete']);
});

test('card is told of when it waits, stalls and goes on, not for each label', () => {
  drawn();
  drawn(WAITS);
  drawn({ ...WAITS, progress_label: 'Attempt 2 failed' });
  drawn();
  drawn({ stalled: true });
  drawn({ status: 'cancelled' });
  deepEqual(said, ['QA: running', 'QA: waiting', 'QA: running', 'QA: stalled', 'QA: cancelled']);
});
