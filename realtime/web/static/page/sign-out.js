/** Signing out in one tab is heard in the others of this browser once it is done: the session is theirs, too. */
import { found, setBusy } from '../elements/dom.js';

const LONGEST_MS = 20_000;
const tabs = new BroadcastChannel('runcast-sign-out');
/** @type {?HTMLFormElement} */
const form = document.querySelector('.sign-out');

form?.addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  signOut(form);
});

/**
 * Where it fails, the browser tries by itself: it says better what is wrong.
 * @param {HTMLFormElement} form
 */
async function signOut(form) {
  setBusy(found(form, 'button'), true);
  try {
    const { method, action } = form;
    const answer = await fetch(action, { method, signal: AbortSignal.timeout(LONGEST_MS) });
    if (!answer.ok) throw new Error(`expected to be signed out, got ${answer.status}`);
    tabs.postMessage(null);
    location.assign(answer.url);
  } catch {
    form.submit();
  }
}

/** @param {() => void} listener called when somebody has signed out in another tab */
export function onSignOutElsewhere(listener) {
  tabs.addEventListener('message', listener);
}
