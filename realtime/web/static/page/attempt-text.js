/**
 * One attempt at a step, in words and as a place on its track; as realtime/endpoints/page_words.py says it. Pure.
 *
 * @typedef {import('./timeline-fold.js').Attempt} Attempt
 */
import { durationText } from '../elements/facts.js';

const TRACK = 1000;
const THINNEST = 4;

/**
 * `Attempt 1 · 0:12 · failed: no answer`.
 * @param {Attempt} attempt
 * @param {number} nowMs
 */
export function attemptText({ attempt, started_at: start, ended_at: end, outcome, reason }, nowMs) {
  const ms = (end === null ? nowMs : Date.parse(end)) - Date.parse(start);
  return `Attempt ${attempt} · ${durationText(ms)} · ${outcome}${reason ? `: ${reason}` : ''}`;
}

/**
 * Where it lies on a track from `fromMs` to `toMs`, in thousandths of it, and never too thin to be seen.
 * @param {Attempt} attempt
 * @param {number} fromMs
 * @param {number} toMs
 * @returns {{x: number, width: number}}
 */
export function attemptSpan({ started_at: start, ended_at: end }, fromMs, toMs) {
  const thousandths = (/** @type {number} */ ms) => Math.floor((Math.max(0, ms) * TRACK) / Math.max(1, toMs - fromMs));
  const began = Date.parse(start);
  const x = Math.min(TRACK - THINNEST, thousandths(began - fromMs));
  const wide = thousandths((end === null ? toMs : Date.parse(end)) - began);
  return { x, width: Math.min(TRACK - x, Math.max(THINNEST, wide)) };
}
