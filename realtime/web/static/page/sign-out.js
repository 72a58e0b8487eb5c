/** Signing out in one tab is heard in the others of this browser: the session is theirs, too. */

const tabs = new BroadcastChannel('runcast-sign-out');

document.querySelector('.sign-out')?.addEventListener('submit', () => tabs.postMessage(null));

/** @param {() => void} listener called when somebody signs out in another tab */
export function onSignOutElsewhere(listener) {
  tabs.addEventListener('message', listener);
}
