/**
 * Elements made of what is written down in a script. Not of HTML: a page may forbid that (`require-trusted-types-for`).
 *
 * @typedef {[tag: string, attributes: Record<string, string>, ...children: Markup[]]} Markup
 */

const SVG = 'http://www.w3.org/2000/svg';
const HTML = 'http://www.w3.org/1999/xhtml';

/**
 * @param {Markup} markup
 * @returns {Element} new, with all that is in it
 */
export function made([tag, attributes, ...children], parent = HTML) {
  const namespace = tag === 'svg' ? SVG : parent;
  const element = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.map((child) => made(child, namespace)));
  return element;
}
