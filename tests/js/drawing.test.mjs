/** Drawing once for many changes: with the next frame, or by a timer where there are no frames. */
import { equal } from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { Drawing } from '../../realtime/web/static/elements/drawing.js';

let frames;
let drawn;
let drawing;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  frames = new Map();
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  globalThis.requestAnimationFrame = (draw) => {
    const id = Symbol('frame');
    frames.set(id, draw);
    return id;
  };
  globalThis.cancelAnimationFrame = (id) => frames.delete(id);
  drawn = 0;
  drawing = new Drawing(() => { drawn += 1; });
});

function nextFrame() {
  const due = [...frames.values()];
  frames.clear();
  due.forEach((draw) => draw());
}

function become(hidden) {
  document.hidden = hidden;
  document.dispatchEvent(new Event('visibilitychange'));
}

test('many changes are drawn once, with the next frame', () => {
  for (let change = 0; change < 100; change += 1) drawing.ask();
  equal(drawn, 0);
  nextFrame();
  equal(drawn, 1);
  nextFrame();
  equal(drawn, 1);
});

test('hidden tab is drawn without frames, and not for every change', () => {
  become(true);
  drawing.ask();
  drawing.ask();
  mock.timers.tick(1000);
  equal(drawn, 1);
  equal(frames.size, 0);
});

test('tab hidden before its frame came is drawn all the same', () => {
  drawing.ask();
  become(true);
  mock.timers.tick(1000);
  equal(drawn, 1);
  become(false);
  nextFrame();
  equal(drawn, 1);
});

test('drawing now leaves nothing to be drawn later', () => {
  drawing.ask();
  drawing.now();
  nextFrame();
  equal(drawn, 1);
});
