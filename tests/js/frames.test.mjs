import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { MalformedFrameError, eventFrom, parseFrame } from '../../realtime/web/static/client/frames.js';
import { RUN, body, queued, running, success } from './fakes.mjs';

test('what is no JSON object is malformed', () => {
  for (const text of ['', '{', 'nonsense', '[]', '7', 'null', '"text"']) {
    throws(() => parseFrame(text), MalformedFrameError);
  }
});

test('a binary message is malformed', () => {
  throws(() => parseFrame(new Blob(['{}'])), MalformedFrameError);
});

test('an event of the run is taken with what it says', () => {
  deepEqual(eventFrom(running('s1', 40), RUN, 7), { id: 7, ...running('s1', 40) });
});

test('an event with fields that are unknown here is taken', () => {
  equal(eventFrom({ ...queued('s1', 1), more: 1 }, RUN, 7).id, 7);
});

test('the end of a run needs no step', () => {
  equal(eventFrom(success(), RUN, 7).payload.all_done, true);
});

test('an event that cannot be folded is malformed', () => {
  const wrong = [
    body('exploded', {}),
    body('toString', {}),
    body('running', null),
    body('running', []),
    body('running', { step_id: 's1', progress_pct: '40' }),
    body('complete', {}),
    body('error', { step_id: 's1' }),
    { ...running('s1', 1), run_id: 'another' },
  ];
  for (const frame of wrong) throws(() => eventFrom(frame, RUN, 7), MalformedFrameError);
});

test('an id that counts nothing is malformed', () => {
  for (const id of [0, -1, 1.5, NaN, '7']) throws(() => eventFrom(running('s1', 1), RUN, id), MalformedFrameError);
});

test('what is reported of a malformed frame is short', () => {
  equal(new MalformedFrameError('too long', 'x'.repeat(1e6)).data.length, 200);
});
