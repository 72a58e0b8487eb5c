/**
 * The form that starts runs. Dispatches `starting`, and `started` with the run that the server accepted.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 */
import { AskedAgain } from './asked-again.js';
import { setBusy, setText } from '../elements/dom.js';
import { expectedOf } from './expected.js';
import { showError } from './notices.js';

const SETTLED_MS = 300;

export class StartForm extends EventTarget {
  #form;
  #button;
  #client;
  #projectId;
  #starting = false;
  #following = false;
  #settling = null;
  #starts = new AskedAgain();

  /**
   * @param {HTMLFormElement} form
   * @param {RunClient} client
   * @param {string} projectId
   */
  constructor(form, client, projectId) {
    super();
    this.#form = form;
    this.#button = form.querySelector('button[type="submit"]');
    this.#client = client;
    this.#projectId = projectId;
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      if (!this.#waits) this.#start();
    });
    form.addEventListener('change', () => {
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => this.#showExpected(), SETTLED_MS);
    });
    this.#button.disabled = false;
    this.#offer();
  }

  /** A second run is not started by accident; without news of the first there is no reason to wait for it. */
  set following(following) {
    this.#following = following;
    this.#offer();
  }

  get #waits() {
    return this.#starting || this.#following;
  }

  #offer() {
    setBusy(this.#button, this.#waits);
    setText(this.#button, this.#starting ? 'Starting…' : this.#following ? 'Run in progress…' : 'Start run');
  }

  get #choice() {
    const chosen = new FormData(this.#form);
    return { agents: chosen.getAll('agent'), mode: chosen.get('pipeline_mode') };
  }

  async #start() {
    const choice = this.#choice;
    this.#starting = true;
    this.#offer();
    this.dispatchEvent(new CustomEvent('starting'));
    try {
      const ask = (runId) => this.#client.start(choice.agents, { mode: choice.mode, runId });
      const run = await this.#starts.send(choice, ask);
      showError(this.#errorPlace, null);
      this.dispatchEvent(new CustomEvent('started', { detail: run }));
    } catch (error) {
      showError(this.#errorPlace, error);
    } finally {
      this.#starting = false;
      this.#offer();
    }
  }

  get #errorPlace() {
    return document.getElementById('start-error');
  }

  async #showExpected() {
    const { agents, mode } = this.#choice;
    const text = agents.length === 0 ? '' : await expectedOf(this.#projectId, agents, mode);
    if (JSON.stringify(this.#choice) === JSON.stringify({ agents, mode })) {
      setText(document.getElementById('start-expected'), text);
    }
  }
}
