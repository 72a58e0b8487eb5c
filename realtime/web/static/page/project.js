/**
 * The project page: takes over what the server drew, starts runs, and follows the one that its address names.
 *
 * @typedef {import('./page-data.js').Run} Run
 */
import { RunClient } from '../run-client.js';
import { AgentNames } from './agent-names.js';
import { Documents } from './documents.js';
import { found } from '../elements/dom.js';
import { expectedOf } from './expected.js';
import { toLocal } from './local-time.js';
import { notice, signInLink } from './notices.js';
import { pageData } from './page-data.js';
import './projects-menu.js';
import { RunView } from './run-view.js';
import { RunsList } from './runs-list.js';
import { onSignOutElsewhere } from './sign-out.js';
import { StartForm } from './start-form.js';
import { tabId } from './tab.js';

const page = pageData();
/** @type {?HTMLFormElement} */
const startForm = document.querySelector('#start');

const client = new RunClient({ clientId: tabId(), projectId: page.project_id });
const names = new AgentNames(page.agents);
const documents = new Documents(found(document, '#documents'), page.project_id);
const view = new RunView(found(document, '#run'), client, page, names, () => documents.uploaded());
const runs = new RunsList(found(document, '#runs'), client, page, names);
const start = startForm && new StartForm(startForm, client, page.project_id);

let shownPath = location.pathname;

/**
 * A run that was begun here has an address of its own in the tab's history, and gets the focus.
 * @param {Run} run
 */
async function showNew(run) {
  shownPath = `/projects/${page.project_id}/runs/${run.id}`;
  history.pushState(null, '', shownPath);
  view.expect('');
  view.show(run);
  runs.begun(run);
  runs.follow();
  found(document, '#run-title').focus();
  const expected = await expectedOf(page.project_id, run.agents_selected, run.pipeline_mode);
  if (shownPath.endsWith(run.id)) view.expect(expected);
}

for (const time of document.querySelectorAll('time')) toLocal(time);
start?.addEventListener('starting', () => {
  documents.forgetError();
  view.ending.forget();
  runs.follow();
});
start?.addEventListener('started', ({ detail }) => showNew(detail));
view.actions.addEventListener('retried', ({ detail }) => showNew(detail));
view.addEventListener('drawn', ({ detail }) => runs.know(detail));
view.addEventListener('connection', () => {
  if (start) start.following = view.following;
  runs.saidElsewhere = view.saysLost;
});
// First the line is closed, which the list uses, too.
view.ending.addEventListener('leaving', () => runs.rest());
view.ending.addEventListener('staying', () => runs.follow());
onSignOutElsewhere(() => {
  view.ending.forget();
  view.rest();
  runs.rest();
  notice('signed-out', 'You have signed out in another tab.', ' ', signInLink());
});
addEventListener('popstate', () => location.pathname !== shownPath && location.reload());
addEventListener('pagehide', () => client.close());
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

if (page.run !== null) {
  view.show(page.run, page.timeline);
  runs.current = page.run.id;
}
runs.follow();
