/**
 * What the page tells people beside its content: toasts, notices that can be dismissed, errors where they belong, and
 * words for screen readers. The places are in templates/base.html and templates/project.html.
 */
import { element, setText } from '../elements/dom.js';
import { setHidden } from './focus.js';

const TOAST_MS = 6_000;
const LINES = 5;

/**
 * Say something good, briefly.
 * @param {string} text
 */
export function toast(text) {
  const shown = element('p', 'toast', text);
  document.getElementById('toasts').append(shown);
  setTimeout(() => shown.remove(), TOAST_MS);
}

/**
 * Say something that stays until it is dismissed; the same `key` again says something else in its place.
 * @param {string} key
 * @param {string} text
 */
export function notice(key, text) {
  const places = document.getElementById('notices');
  const before = [...places.children].find((other) => other.dataset.key === key);
  if (before) {
    setText(before.firstElementChild, text);
    return;
  }
  const dismiss = element('button', 'quiet', 'Dismiss');
  dismiss.type = 'button';
  const shown = element('div', 'notice', element('p', '', text), dismiss);
  shown.dataset.key = key;
  dismiss.addEventListener('click', () => {
    setHidden(shown, true);
    shown.remove();
  });
  places.append(shown);
}

/**
 * Tell those who listen to the page what those who look at it have just seen.
 * @param {string} text
 */
export function announce(text) {
  const lines = document.getElementById('announcements');
  lines.append(element('p', '', text));
  while (lines.children.length > LINES) lines.firstElementChild.remove();
}

/**
 * Show `error` in `place`, with the way to sign in where that is what is missing; null: nothing is wrong any more.
 * @param {HTMLElement} place
 * @param {?Error & {status?: number}} error
 */
export function showError(place, error) {
  place.hidden = error === null;
  place.textContent = error?.message ?? '';
  if (error?.status === 401) place.append(' ', signInLink());
}

/**
 * The way to sign in and back to this page.
 * @returns {HTMLAnchorElement}
 */
export function signInLink() {
  const link = element('a', '', 'Sign in');
  link.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
  return link;
}
