/**
 * The form that starts runs. Dispatches `starting`, and `started` with the run that the server accepted.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 * @typedef {import('../run-client.js').PipelineMode} PipelineMode
 * @typedef {import('../run-client.js').RequestError} RequestError
 * @typedef {import('./telling.js').Telling<{starting: null, started: import('./page-data.js').Run}>} Telling
 */
import { AskedAgain } from './asked-again.js';
import { found, setBusy, setText } from '../elements/dom.js';
import { expectedOf } from './expected.js';
import { showErrors } from './notices.js';

const SETTLED_MS = 300;
const NO_AGENT = 'Choose at least one agent.';

export class StartForm extends /** @type {Telling} */ (EventTarget) {
  #form;
  /** @type {HTMLButtonElement} */
  #button;
  #client;
  #projectId;
  #starting = false;
  #following = false;
  /** @type {number|undefined} */
  #settling;
  #starts = new AskedAgain();

  /**
   * @param {HTMLFormElement} form
   * @param {RunClient} client
   * @param {string} projectId
   */
  constructor(form, client, projectId) {
    super();
    this.#form = form;
    this.#button = found(form, 'button[type="submit"]');
    this.#client = client;
    this.#projectId = projectId;
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      if (!this.#waits) this.#start();
    });
    form.addEventListener('change', () => {
      if (this.#choice.agents.length > 0) showErrors(this.#errorPlace);
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => this.#showExpected(), SETTLED_MS);
    });
    this.#button.disabled = false;
    this.#offer();
  }

  /**
   * A second run is not started by accident; without news of the first there is no reason to wait for it.
   * @param {boolean} following
   */
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
    return {
      agents: /** @type {string[]} */ (chosen.getAll('agent')),
      mode: /** @type {PipelineMode} */ (chosen.get('pipeline_mode')),
    };
  }

  async #start() {
    const choice = this.#choice;
    if (choice.agents.length === 0) {
      showErrors(this.#errorPlace, new Error(NO_AGENT));
      return;
    }
    this.#starting = true;
    this.#offer();
    this.dispatchEvent(new CustomEvent('starting'));
    try {
      const { agents, mode } = choice;
      const run = await this.#starts.send(choice, (runId) => this.#client.start(agents, { mode, runId }));
      showErrors(this.#errorPlace);
      this.dispatchEvent(new CustomEvent('started', { detail: run }));
    } catch (error) {
      showErrors(this.#errorPlace, /** @type {RequestError} */ (error));
    } finally {
      this.#starting = false;
      this.#offer();
    }
  }

  get #errorPlace() {
    return found(document, '#start-error');
  }

  async #showExpected() {
    const { agents, mode } = this.#choice;
    const text = agents.length === 0 ? '' : await expectedOf(this.#projectId, agents, mode);
    if (JSON.stringify(this.#choice) === JSON.stringify({ agents, mode })) {
      setText(found(document, '#start-expected'), text);
    }
  }
}
