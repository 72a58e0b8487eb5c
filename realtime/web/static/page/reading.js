/** What the server cannot do on the pages that are for reading: copy to the clipboard, and tell the time here. */
import { part, setText } from '../elements/dom.js';
import { toLocal } from './local-time.js';
import { announce } from './notices.js';
import './projects-menu.js';
import './sign-out.js';

/**
 * Select `source`, opening what it is folded away in, and copy the selection: on plain HTTP browsers have no clipboard
 * object.
 * @param {HTMLElement} source
 * @returns {boolean} true: it is copied
 */
function copyBySelection(source) {
  const folded = source.closest('details');
  if (folded !== null) folded.open = true;
  getSelection()?.selectAllChildren(source);
  return document.execCommand('copy');
}

/**
 * @param {HTMLElement} source
 * @returns {Promise<boolean>} true: its text is in the clipboard
 */
async function copy(source) {
  if (!navigator.clipboard) return copyBySelection(source);
  return navigator.clipboard.writeText(source.textContent).then(() => true, () => copyBySelection(source));
}

/** @type {?HTMLButtonElement} */
const button = document.querySelector('[data-part="copy"]');
if (button !== null) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    const said = (await copy(part(document, 'source'))) ? 'Copied' : 'Could not copy; the text is selected';
    setText(part(document, 'copied'), said);
    announce(said);
  });
}
/** @type {?HTMLElement} */
const current = document.querySelector('.artifact-list [aria-current]');
const list = current?.closest('.artifact-list');
if (current && list && list.scrollHeight > list.clientHeight) list.scrollTop = current.offsetTop - list.clientHeight / 2;
for (const time of document.querySelectorAll('time')) toLocal(time);
