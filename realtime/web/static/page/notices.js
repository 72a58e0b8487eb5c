/**
 * What the page tells people beside its content: toasts, notices that can be dismissed, errors where they belong, and
 * words for screen readers. The places are in templates/base.html and templates/project.html.
 *
 * @typedef {{message: string, code?: string}} Refusal `code`: the server's, where it has refused something
 */
import { childrenBy, element, found } from '../elements/dom.js';
import { setHidden } from './focus.js';

const TOAST_MS = 6_000;
const LINES = 5;
export const SIGNED_OUT = 'You are no longer signed in.';

/**
 * Say something good, briefly.
 * @param {...(Node|string)} content
 * @returns {HTMLElement} what is shown, to remove when it is no longer true
 */
export function toast(...content) {
  const shown = element('p', 'toast', ...content);
  found(document, '#toasts').append(shown);
  setTimeout(() => shown.remove(), TOAST_MS);
  return shown;
}

/**
 * Say something that stays until it is dismissed; the same `key` again says something else in its place.
 * @param {string} key
 * @param {...(Node|string)} content
 */
export function notice(key, ...content) {
  const places = found(document, '#notices');
  const before = childrenBy(places, 'key').get(key);
  if (before) {
    found(before, 'p').replaceChildren(...content);
    return;
  }
  const dismiss = element('button', 'quiet', 'Dismiss');
  dismiss.type = 'button';
  const shown = element('div', 'notice', element('p', '', ...content), dismiss);
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
  const lines = found(document, '#announcements');
  lines.append(element('p', '', text));
  while (lines.children.length > LINES) lines.children[0].remove();
}

/**
 * Show each of `errors` in a line of `place`; none: nothing is wrong any more.
 * @param {HTMLElement} place
 * @param {...Refusal} errors
 */
export function showErrors(place, ...errors) {
  place.hidden = errors.length === 0;
  place.replaceChildren(...errors.flatMap((error) => [element('br', ''), ...refusalWords(error)]).slice(1));
}

/**
 * What is wrong, with the way to sign in where that is what is missing.
 * @param {Refusal} error
 * @returns {(Node|string)[]}
 */
export function refusalWords({ code, message }) {
  return code === 'NOT_AUTHENTICATED' ? [SIGNED_OUT, ' ', signInLink()] : [message];
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
