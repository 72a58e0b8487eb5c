/** The page's facts give what realtime/facts.py gives: both are held to tests/vectors/facts.json. */
import { deepEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { overall } from '../../realtime/web/static/client/overall.js';
import * as texts from '../../realtime/web/static/elements/facts.js';

const facts = { ...texts, overall };
const vectors = JSON.parse(readFileSync(new URL('../vectors/facts.json', import.meta.url), 'utf8'));

const camel = (name) => name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase());
const step = ([status, progress_pct]) => ({ status, progress_pct });
const run = (told) => ({ started_at: null, completed_at: null, ...told, steps: (told.steps ?? []).map(step) });
const isRun = (told) => told !== null && typeof told === 'object';

for (const [name, cases] of Object.entries(vectors)) {
  test(`${name} gives what its vectors say`, () => {
    for (const { given, gives } of cases) {
      deepEqual(facts[camel(name)](...given.map((told) => (isRun(told) ? run(told) : told))), gives, JSON.stringify(given));
    }
  });
}

test('the vectors reach every fact', () => {
  deepEqual(Object.keys(vectors).map(camel).sort(), Object.keys(facts).sort());
});
