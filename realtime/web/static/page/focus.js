/** The focus of people without a mouse: it is not lost with the control that had it. */

import { found } from '../elements/dom.js';

/**
 * Hide `control`, or show it; a focus in what is hidden goes to the title of the run, not to the beginning of the page.
 * @param {HTMLElement} control
 * @param {boolean} hidden
 */
export function setHidden(control, hidden) {
  const focused = hidden && control.contains(document.activeElement);
  control.hidden = hidden;
  if (focused) found(document, '#run-title').focus();
}
