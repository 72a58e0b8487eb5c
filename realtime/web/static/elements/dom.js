/** Parts of a document, and changes made only where they change something: what is equal is not read out again. */

const TEXT = 3;

/**
 * The element within `root` that its template promises.
 * @template {Element} [Kind=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {Kind}
 * @throws {Error} there is none
 */
export function found(root, selector) {
  /** @type {?Kind} */
  const promised = root.querySelector(selector);
  if (promised === null) throw new Error(`expected an element ${selector} in the document, found none`);
  return promised;
}

/**
 * The part of that name within `root`, which its template promises.
 * @template {Element} [Kind=HTMLElement]
 * @param {ParentNode} root
 * @param {string} name
 * @returns {Kind}
 * @throws {Error} there is none
 */
export function part(root, name) {
  return found(root, `[data-part="${name}"]`);
}

/**
 * The children of `parent`, each under what its `dataset` has as `key`.
 * @param {Element} parent
 * @param {string} key
 * @returns {Map<string|undefined, HTMLElement>}
 */
export function childrenBy(parent, key) {
  const children = /** @type {Iterable<HTMLElement>} */ (parent.children);
  return new Map([...children].map((child) => [child.dataset[key], child]));
}

/**
 * A text that stands there is changed, not replaced by another: a browser lays out less for it.
 * @param {Node} place
 * @param {string} text
 */
export function setText(place, text) {
  if (place.textContent === text) return;
  const { firstChild } = place;
  const onlyText = firstChild?.nodeType === TEXT && firstChild === place.lastChild;
  if (onlyText && text !== '') firstChild.nodeValue = text;
  else place.textContent = text;
}

/**
 * @param {Element} element
 * @param {Object<string, ?string>} attributes null: is not to be there
 */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) === value) continue;
    if (value === null) element.removeAttribute(name);
    else element.setAttribute(name, value);
  }
}

/**
 * Say that a button does nothing for now; its listeners have to see to that. It keeps the focus, which `disabled` would
 * take from it.
 * @param {Element} button
 * @param {boolean} busy
 */
export function setBusy(button, busy) {
  setAttributes(button, { 'aria-disabled': busy ? 'true' : null });
}

/**
 * @param {Element} parent
 * @param {readonly Element[]} children all that it shall have, in order
 */
export function setChildren(parent, children) {
  const same = children.length === parent.children.length && children.every((child, at) => child === parent.children[at]);
  if (!same) parent.replaceChildren(...children);
}

/**
 * A new element with a class and what is in it.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {...(Node|string)} content
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}
