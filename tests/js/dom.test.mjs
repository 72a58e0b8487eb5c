/** Parts of a document, found where a template promises them. */
import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { childrenBy, found, part } from '../../realtime/web/static/elements/dom.js';

const banner = {};
const root = { querySelector: (selector) => (selector === '[data-part="banner"]' ? banner : null) };

test('part that is there is given', () => {
  equal(part(root, 'banner'), banner);
});

test('part that is missing is named', () => {
  throws(() => part(root, 'cards'), /expected an element \[data-part="cards"\] in the document, found none/);
  throws(() => found(root, '#toasts'), /expected an element #toasts in the document, found none/);
});

test('children are known by what their data says', () => {
  const [first, second] = [{ dataset: { stepId: 'a' } }, { dataset: { stepId: 'b' } }];
  const known = childrenBy({ children: [first, second] }, 'stepId');
  equal(known.get('b'), second);
  equal(known.get('c'), undefined);
});
