/**
 * What the page tells people beside its content: toasts, notices that can be dismissed, the banner of a run that did
 * not succeed, and words for screen readers. The places are in templates/base.html and templates/project.html.
 */
import { ApiError } from './api.js';

const TOAST_MS = 6_000;

/**
 * Say something good, briefly.
 * @param {string} text
 */
export function toast(text) {
  const shown = document.createElement('p');
  shown.className = 'toast';
  shown.textContent = text;
  document.getElementById('toasts').append(shown);
  setTimeout(() => shown.remove(), TOAST_MS);
}

/**
 * Say something that stays until it is dismissed; the same `key` again replaces what it said before.
 * @param {string} key
 * @param {string} text
 */
export function notice(key, text) {
  const places = document.getElementById('notices');
  const shown = document.createElement('div');
  shown.className = 'notice';
  shown.dataset.key = key;
  const words = document.createElement('p');
  words.textContent = text;
  const dismiss = document.createElement('button');
  dismiss.type = 'button';
  dismiss.className = 'quiet';
  dismiss.textContent = 'Dismiss';
  dismiss.addEventListener('click', () => shown.remove());
  shown.append(words, dismiss);
  const before = [...places.children].find((other) => other.dataset.key === key);
  if (before) before.replaceWith(shown);
  else places.append(shown);
}

/**
 * Tell those who listen to the page what those who look at it have just seen.
 * @param {string} text
 */
export function announce(text) {
  const line = document.createElement('p');
  line.textContent = text;
  const lines = document.getElementById('announcements');
  lines.append(line);
  while (lines.children.length > 5) lines.firstElementChild.remove();
}

/**
 * Show `error` in `place`, with the way to sign in where that is what is missing; null: nothing is wrong any more.
 * @param {HTMLElement} place
 * @param {?Error} error
 */
export function showError(place, error) {
  place.hidden = error === null;
  place.textContent = error?.message ?? '';
  if (error instanceof ApiError && error.status === 401) place.append(' ', signInLink());
}

/** @returns {HTMLAnchorElement} */
export function signInLink() {
  const link = document.createElement('a');
  link.href = '/sign-in';
  link.textContent = 'Sign in';
  return link;
}
