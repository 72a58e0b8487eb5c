/**
 * Tells of a run's end by a notification of the system, when somebody wished so and does not look at the page.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 */
import { hasEnded } from '../apply-event.js';
import { setAttributes, setBusy } from '../elements/dom.js';
import { statusText } from '../elements/facts.js';
import { setHidden } from './focus.js';
import { notice, toast } from './notices.js';

const CHOSEN = 'runcast-notify';

export class Notifications {
  #button;
  #projectName;
  #choosing = false;

  /**
   * @param {HTMLElement} button pressed: they are wished for, in this browser
   * @param {string} projectName
   */
  constructor(button, projectName) {
    this.#button = button;
    this.#projectName = projectName;
    button.addEventListener('click', () => this.#choosing || this.#change());
  }

  /**
   * As long as there is an end to tell of, and the browser lets the page tell.
   * @param {RunState} run
   */
  offer(run) {
    setHidden(this.#button, hasEnded(run) || this.#permission === 'denied');
    this.#showChosen();
  }

  /** @param {RunState} run that just ended */
  tell(run) {
    if (!document.hidden || !this.#chosen) return;
    const title = `${statusText(run.status)}: run ${run.id.slice(0, 8)}`;
    try {
      const shown = new Notification(title, { body: this.#projectName, tag: run.id });
      shown.addEventListener('click', () => focus());
    } catch {
      // Browsers of telephones have the class, and only let service workers use it.
    }
  }

  get #chosen() {
    return this.#permission === 'granted' && localStorage.getItem(CHOSEN) === 'yes';
  }

  get #permission() {
    return globalThis.Notification?.permission ?? 'denied';
  }

  async #change() {
    if (this.#chosen) {
      localStorage.removeItem(CHOSEN);
      toast('You will no longer be notified when a run ends.');
    } else {
      await this.#choose();
    }
    this.#showChosen();
  }

  async #choose() {
    this.#becomeChoosing(true);
    const permission = await Notification.requestPermission();
    this.#becomeChoosing(false);
    if (permission === 'denied') setHidden(this.#button, true);
    if (permission === 'granted') {
      localStorage.setItem(CHOSEN, 'yes');
      toast('You will be notified when a run ends while this tab is in the background.');
    } else {
      notice('notify', 'The browser does not allow notifications of this page. Its settings can change that.');
    }
  }

  #showChosen() {
    setAttributes(this.#button, { 'aria-pressed': String(this.#chosen) });
  }

  /** @param {boolean} choosing */
  #becomeChoosing(choosing) {
    this.#choosing = choosing;
    setBusy(this.#button, choosing);
  }
}
