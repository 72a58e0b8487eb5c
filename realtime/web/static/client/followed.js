/**
 * Those who follow one thing, a run or a project, over a socket.
 *
 * @template Viewer
 * @typedef {object} Followed
 * @property {Set<Viewer>} viewers
 * @property {?string} ref of the latest frame that asked for it; null: it has no place on this connection yet
 */

/**
 * A viewer may leave when it is told.
 * @template Viewer
 * @param {Followed<Viewer>} followed
 * @param {(viewer: Viewer) => void} what
 */
export function tell({ viewers }, what) {
  for (const viewer of [...viewers]) what(viewer);
}

/**
 * @template Viewer
 * @param {Map<string, Followed<Viewer>>} all
 * @returns {Viewer[]}
 */
export function viewersOf(all) {
  return [...all.values()].flatMap(({ viewers }) => [...viewers]);
}

/**
 * The one that was asked for with this `ref`.
 * @template {Followed<any>} Asked
 * @param {Map<string, Asked>} all
 * @param {unknown} ref
 */
export function askedWith(all, ref) {
  return [...all.values()].find((one) => one.ref !== null && one.ref === ref);
}
