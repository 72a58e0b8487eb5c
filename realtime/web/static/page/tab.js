/**
 * The browser's tab: its title and icon carry the state of the run, and its name tells the server which viewer it is.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 */
import { randomUuid } from '../client/uuid.js';
import { found } from '../elements/dom.js';
import { iconName, titleText } from '../elements/facts.js';

const CLIENT = 'runcast-client';

/**
 * The same for this tab across reloads, so that its acknowledgements are one viewer's.
 * @returns {string}
 */
export function tabId() {
  const id = sessionStorage.getItem(CLIENT) ?? randomUuid();
  sessionStorage.setItem(CLIENT, id);
  return id;
}

/**
 * @param {RunState} state of the run that is shown
 * @param {string} projectName
 * @param {boolean} offline no news of it arrives: it may be elsewhere by now
 */
export function showInTab(state, projectName, offline) {
  const title = `${offline ? 'Offline · ' : ''}${titleText(state, projectName)}`;
  if (document.title !== title) document.title = title;
  /** @type {HTMLLinkElement} */
  const icon = found(document, 'link[rel="icon"]');
  const { href } = new URL(`../${iconName(state)}.svg`, import.meta.url);
  if (icon.href !== href) icon.href = href;
}
