/** Times for people, where they are: the server writes UTC. */

/**
 * Today's times are short, others have their date.
 * @param {HTMLTimeElement} time with a `datetime`
 */
export function toLocal(time) {
  const at = new Date(time.dateTime);
  const today = at.toDateString() === new Date().toDateString();
  time.textContent = at.toLocaleString(undefined, { dateStyle: today ? undefined : 'medium', timeStyle: 'short' });
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
