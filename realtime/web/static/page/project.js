/** The project page: takes over what the server drew, starts runs, and follows the one that its address names. */
import { RunClient } from '../run-client.js';
import { AgentNames } from './agent-names.js';
import { Documents } from './documents.js';
import { expectedOf } from './expected.js';
import { toLocal } from './local-time.js';
import { RunView } from './run-view.js';
import { RunsList } from './runs-list.js';
import { StartForm } from './start-form.js';
import { tabId } from './tab.js';

const page = JSON.parse(document.getElementById('page-data').textContent);
const startForm = document.getElementById('start');

const client = new RunClient({ clientId: tabId(), projectId: page.project_id });
const names = new AgentNames(page.agents);
const view = new RunView(document.getElementById('run'), client, page, names);
const runs = new RunsList(document.getElementById('runs'), client, page, names);
const documents = new Documents(document.getElementById('documents'), page.project_id);
const start = startForm && new StartForm(startForm, client, page.project_id);

let shownPath = location.pathname;

/** A run that was begun here has an address of its own in the tab's history, and gets the focus. */
async function showNew(run) {
  shownPath = `/projects/${page.project_id}/runs/${run.id}`;
  history.pushState(null, '', shownPath);
  view.expect('');
  view.show(run);
  runs.current = run.id;
  runs.follow();
  document.getElementById('run-title').focus();
  const expected = await expectedOf(page.project_id, run.agents_selected, run.pipeline_mode);
  if (shownPath.endsWith(run.id)) view.expect(expected);
}

for (const time of document.querySelectorAll('time')) toLocal(time);
start?.addEventListener('starting', () => {
  documents.forgetError();
  view.stay();
  runs.follow();
});
start?.addEventListener('started', ({ detail }) => showNew(detail));
view.actions.addEventListener('retried', ({ detail }) => showNew(detail));
view.addEventListener('drawn', ({ detail }) => runs.know(detail));
view.addEventListener('connection', () => start && (start.following = view.following));
// A success leads away: first the line is closed, which the list uses, too.
view.addEventListener('ended', ({ detail }) => detail.status === 'completed' && runs.rest());
addEventListener('popstate', () => location.pathname !== shownPath && location.reload());
addEventListener('pagehide', () => client.close());
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

if (page.run !== null) {
  view.show(page.run, page.timeline);
  runs.current = page.run.id;
}
runs.follow();
