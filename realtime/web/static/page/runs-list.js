/**
 * The project's newest runs, each a link to its view, kept as they are; where that is not so, it is said beside them.
 *
 * @typedef {import('../run-client.js').RunClient} RunClient
 * @typedef {import('../run-client.js').Connection} Connection
 * @typedef {import('../run-client.js').Ending} Ending
 * @typedef {import('../run-client.js').ProjectWatch} ProjectWatch
 * @typedef {import('../run-client.js').RunSummary} RunSummary
 * @typedef {import('./agent-names.js').AgentNames} AgentNames
 */
import { overall } from '../client/overall.js';
import { summaryOf } from '../client/run-summary.js';
import { connectionText } from '../elements/connection-text.js';
import { childrenBy, element, found, part, setAttributes, setChildren, setText } from '../elements/dom.js';
import { statusText } from '../elements/facts.js';
import { ConnectionTruth } from './connection-truth.js';
import { timeElement } from './local-time.js';
import { showErrors } from './notices.js';

/** That all is well needs no word beside a list. @param {Connection} connection */
const troubleText = (connection) => (connection.state === 'live' ? '' : connectionText(connection));

export class RunsList {
  #list;
  #empty;
  #refusal;
  #truth;
  #client;
  #projectId;
  #names;
  #runs;
  /** @type {?string} */
  #current = null;
  /** @type {?RunSummary} the run that was begun here, until the list is told of it */
  #begun = null;
  /** Of the run that the page follows: what its row says, which may be newer than what the list was told. */
  #own = { id: '', status: '', done: 0, as_of: 0 };
  /** @type {?ProjectWatch} */
  #watch = null;
  #saidElsewhere = false;
  /** @type {?Ending} why the server no longer tells; null: it does, or nobody has asked */
  #ending = null;

  /**
   * @param {HTMLElement} root the runs' section
   * @param {RunClient} client
   * @param {{project_id: string, runs: readonly RunSummary[]}} known
   * @param {AgentNames} names
   */
  constructor(root, client, known, names) {
    this.#list = part(root, 'list');
    this.#empty = part(root, 'empty');
    this.#refusal = part(root, 'refusal');
    this.#truth = new ConnectionTruth(part(root, 'line'), troubleText);
    this.#client = client;
    this.#projectId = known.project_id;
    this.#runs = known.runs;
    this.#names = names;
  }

  /** Follow them, or go on to. */
  follow() {
    if (this.#watch !== null) return;
    this.#ending = null;
    this.#showRefusal();
    this.#watch = this.#client.watchProject(this.#projectId, { runs: this.#runs });
    this.#watch.addEventListener('runs', ({ detail }) => this.#draw(detail));
    this.#watch.addEventListener('connection', () => this.#showConnection());
    this.#watch.addEventListener('ended', ({ detail }) => this.#ended(detail));
    this.#draw(this.#runs);
    this.#showConnection();
  }

  /** Let go of the connection; what is shown stays. */
  rest() {
    this.#watch?.close();
    this.#watch = null;
  }

  /** True where the page says already that it has lost its line, or why for good: once is enough. @param {boolean} said */
  set saidElsewhere(said) {
    this.#saidElsewhere = said;
    this.#showConnection();
    this.#showRefusal();
  }

  /** @param {string} runId the one that the page shows */
  set current(runId) {
    this.#current = runId;
    this.#draw(this.#runs);
  }

  /** @param {import('./page-data.js').Run} run that was begun here: it has a row before the list is told of it */
  begun(run) {
    this.#begun = summaryOf(run);
    this.current = run.id;
  }

  /** @param {import('../run-client.js').RunState} run that the page follows */
  know(run) {
    const { done } = overall(run);
    const { id, status, done: before } = this.#own;
    this.#own = { id: run.id, status: run.status, done, as_of: run.last_event_id };
    if (id !== run.id || status !== run.status || before !== done) this.#draw(this.#runs);
  }

  #showConnection() {
    this.#truth.show(this.#saidElsewhere ? null : (this.#watch?.connection ?? null));
  }

  #showRefusal() {
    showErrors(this.#refusal, ...(this.#saidElsewhere || this.#ending === null ? [] : [this.#ending]));
  }

  /** @param {Ending} ending */
  #ended(ending) {
    this.#watch = null;
    this.#ending = ending;
    this.#showRefusal();
  }

  /** @param {readonly RunSummary[]} told */
  #draw(told) {
    if (told.some(({ id }) => id === this.#begun?.id)) this.#begun = null;
    const runs = this.#begun === null ? told : [this.#begun, ...told];
    this.#runs = told;
    const known = childrenBy(this.#list, 'runId');
    setChildren(this.#list, runs.map((run) => this.#row(known.get(run.id) ?? this.#newRow(run), run)));
    this.#empty.hidden = runs.length > 0;
  }

  /** @param {HTMLElement} row @param {RunSummary} run */
  #row(row, run) {
    const chip = found(row, '.chip');
    const own = run.id === this.#own.id && run.last_event_id < this.#own.as_of;
    const { status, done } = own ? this.#own : { status: run.status, done: run.steps_completed };
    setText(chip, statusText(status));
    setAttributes(chip, { 'data-status': status });
    const facts = /** @type {Text} */ (found(row, '.facts').lastChild);
    setText(facts, ` · ${run.id.slice(0, 8)} · ${done} of ${run.steps_total}`);
    setAttributes(found(row, 'a'), { 'aria-current': run.id === this.#current ? 'true' : null });
    return row;
  }

  /** @param {RunSummary} run */
  #newRow(run) {
    const agents = run.agents_selected.map((agent) => this.#names.of(agent)).join(', ');
    const facts = element('span', 'facts', timeElement(run.created_at), ' ');
    const link = element('a', '', element('span', 'path', agents), facts, element('span', 'chip'));
    link.href = `/projects/${this.#projectId}/runs/${run.id}`;
    const row = element('li', '', link);
    row.dataset.runId = run.id;
    return row;
  }
}
