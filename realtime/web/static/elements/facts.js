/**
 * What the page says of a run in figures and words. Pure.
 *
 * The same functions are in realtime/facts.py, for the first paint; tests/vectors/facts.json holds the two equal.
 * Halves are rounded up.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 */
import { overall } from '../client/overall.js';

const PRODUCT = 'Runcast';
/** @type {Record<string, string|undefined>} */
const STATUS = {
  queued: 'Queued', running: 'Running', completed: 'Completed', failed: 'Failed', cancelled: 'Cancelled',
};
/** @type {Partial<Record<RunState['status'], string>>} */
const MARKS = { completed: '✓ ', failed: '✗ ', cancelled: '✗ ' };
const ICONS = {
  queued: 'icon-running',
  running: 'icon-running',
  completed: 'icon-complete',
  failed: 'icon-error',
  cancelled: 'icon-error',
};
const COUNT = new Intl.NumberFormat('en-US');
const MONEY = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/**
 * Milliseconds since the run started, until it ended or `nowMs` (since 1970); null where it never started.
 * @param {Pick<RunState, 'started_at'|'completed_at'>} state
 * @param {number} nowMs
 * @returns {?number}
 */
export function elapsedMs({ started_at: startedAt, completed_at: completedAt }, nowMs) {
  if (startedAt === null) return null;
  const until = completedAt === null ? nowMs : Date.parse(completedAt);
  return Math.max(0, until - Date.parse(startedAt));
}

/**
 * `0:07`, `1:04`, `1:02:09`: whole seconds that have passed, never fewer than none.
 * @param {number} ms
 */
export function durationText(ms) {
  const whole = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const padded = (/** @type {number} */ part) => String(part).padStart(2, '0');
  return hours > 0 ? `${hours}:${padded(minutes)}:${padded(seconds)}` : `${minutes}:${padded(seconds)}`;
}

/**
 * `usually 2–4 min`, or `usually about 2 min` where both ends round alike; `highS` chooses the unit. Below 90 s in
 * steps of 5 seconds, from 2 hours on in halves of an hour, else in minutes; never less than one such.
 * @param {number} lowS
 * @param {number} highS
 */
export function expectedText(lowS, highS) {
  const [unit, sizeS, step] = highS < 90 ? ['s', 1, 5] : highS < 7200 ? ['min', 60, 1] : ['h', 3600, 0.5];
  const shown = (/** @type {number} */ seconds) => Math.max(step, rounded(seconds / sizeS / step) * step);
  const [low, high] = [shown(lowS), shown(highS)];
  return low === high ? `usually about ${high} ${unit}` : `usually ${low}–${high} ${unit}`;
}

/**
 * `1,204`.
 * @param {number} count
 */
export function tokensText(count) {
  return COUNT.format(count);
}

/**
 * `about 0.02 USD` or `below 0.01 USD`; empty where nothing was used, or a million tokens has no price.
 * @param {number} tokens
 * @param {?number} pricePerMtok
 * @param {string} currency
 */
export function costText(tokens, pricePerMtok, currency) {
  if (!tokens || !pricePerMtok) return '';
  const cents = (tokens * pricePerMtok) / 10_000;
  return cents < 1 ? `below 0.01 ${currency}` : `about ${MONEY.format(rounded(cents) / 100)} ${currency}`;
}

/** @param {number} value */
function rounded(value) {
  return Math.floor(value + 0.5);
}

/**
 * The status of a run in a word for people; a status that is unknown here is its own.
 * @param {string} status
 */
export function statusText(status) {
  return STATUS[status] ?? status;
}

/**
 * The title of the project's page, with the run that it shows first: a tab shows the beginning.
 * @param {?Pick<RunState, 'status'|'steps'>} state
 * @param {string} projectName
 */
export function titleText(state, projectName) {
  if (state === null) return `Runs · ${projectName} · ${PRODUCT}`;
  const mark = state.status === 'running' ? `${overall(state).percent} % · ` : (MARKS[state.status] ?? '');
  return `${mark}${statusText(state.status)} · ${projectName} · ${PRODUCT}`;
}

/**
 * The page's icon, `/static/NAME.svg`: how the run that it shows is, or that it shows none.
 * @param {?Pick<RunState, 'status'>} state
 */
export function iconName(state) {
  return state === null ? 'icon' : (ICONS[state.status] ?? 'icon');
}
