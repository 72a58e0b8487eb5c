/** The menu of projects in the header closes as menus do: by Escape, by a press elsewhere, and when the focus leaves it. */

/** @type {?HTMLDetailsElement} */
const menu = document.querySelector('details.projects');

/** @param {?EventTarget} target where something happens now */
function closeUnlessIn(target) {
  if (menu !== null && !menu.contains(/** @type {?Node} */ (target))) menu.open = false;
}

addEventListener('pointerdown', ({ target }) => closeUnlessIn(target));
menu?.addEventListener('focusout', ({ relatedTarget }) => relatedTarget !== null && closeUnlessIn(relatedTarget));
addEventListener('keydown', ({ key }) => {
  if (key !== 'Escape' || !menu?.open) return;
  menu.open = false;
  menu.querySelector('summary')?.focus();
});
