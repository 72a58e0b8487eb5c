/** Times for people, where they are: the server writes UTC. */

/**
 * Today's times are short, others have their date. `data-local` says that this is done: style sheets wait for it.
 * @param {HTMLTimeElement} time with a `datetime`
 */
export function toLocal(time) {
  const at = new Date(time.dateTime);
  const today = at.toDateString() === new Date().toDateString();
  time.textContent = at.toLocaleString(undefined, { dateStyle: today ? undefined : 'medium', timeStyle: 'short' });
  time.dataset.local = '';
}

/**
 * @param {string} at RFC 3339
 * @returns {HTMLTimeElement}
 */
export function timeElement(at) {
  const time = document.createElement('time');
  time.dateTime = at;
  toLocal(time);
  return time;
}
