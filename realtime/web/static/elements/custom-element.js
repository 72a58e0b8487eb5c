/** Elements of our own. Where there is no page, as where one is rendered on a server, importing them does no harm. */
import { fetchedSheet } from './sheet.js';

/** What they extend. @type {typeof HTMLElement} */
export const PageElement = globalThis.HTMLElement ?? /** @type {any} */ (class {});

/**
 * Have the page know an element by that name; its style is on the way before the first one is seen.
 * @param {string} name
 * @param {CustomElementConstructor} element
 * @param {URL} style of its shadow root
 */
export function define(name, element, style) {
  if (globalThis.customElements === undefined) return;
  fetchedSheet(style);
  customElements.define(name, element);
}
