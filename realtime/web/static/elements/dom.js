/** Changes that are made only where they change something: what is equal is not touched, moved or read out again. */

/**
 * @param {Element} place
 * @param {string} text
 */
export function setText(place, text) {
  if (place.textContent !== text) place.textContent = text;
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
 * @param {Element[]} children all that it shall have, in order
 */
export function setChildren(parent, children) {
  const same = children.length === parent.children.length && children.every((child, at) => child === parent.children[at]);
  if (!same) parent.replaceChildren(...children);
}

/**
 * The part of that name within `root`.
 * @param {ParentNode} root
 * @param {string} name
 * @returns {any} null: there is none
 */
export function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

/**
 * A new element with a class and what is in it.
 * @param {string} tag
 * @param {string} className
 * @param {...(Node|string)} content
 */
export function element(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}
