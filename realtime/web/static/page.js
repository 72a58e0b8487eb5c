/** The project page: starts runs and follows the one that its address names. */
import { postJson, randomUuid, request } from './api.js';
import { Documents } from './documents.js';
import { showError } from './notices.js';
import { RecentRuns } from './recent-runs.js';
import { RunView } from './run-view.js';

const page = document.getElementById('project-page');
const { projectId } = page.dataset;
const names = JSON.parse(document.getElementById('agent-names').textContent);
const form = document.getElementById('start');
const startButton = form?.querySelector('button[type="submit"]');
const startError = document.getElementById('start-error');
const pageError = document.getElementById('page-error');
const runSection = document.getElementById('run');

const runsUrl = `/api/v1/projects/${projectId}/agent-runs`;
const view = new RunView(runSection, projectId, names, tabId());
const recent = new RecentRuns(document.getElementById('runs'), projectId, names);
const documents = new Documents(document.getElementById('documents'), projectId);
let starting = false;
let unanswered = null;

/** The same for this tab across reloads, so that its acknowledgements are one viewer's. */
function tabId() {
  const id = sessionStorage.getItem('runcast-client') ?? randomUuid();
  sessionStorage.setItem('runcast-client', id);
  return id;
}

/** Asking again for what may have been obeyed unheard uses the same id, and so starts nothing twice. */
function runRequest() {
  const asked = new FormData(form);
  const wanted = { agents_selected: asked.getAll('agent'), pipeline_mode: asked.get('pipeline_mode') };
  const same = JSON.stringify(wanted) === JSON.stringify(unanswered?.wanted);
  return { wanted, run_id: same ? unanswered.run_id : randomUuid() };
}

async function start() {
  const asked = runRequest();
  starting = true;
  offerStart();
  documents.forgetError();
  try {
    const run = await postJson(runsUrl, { ...asked.wanted, run_id: asked.run_id });
    unanswered = null;
    showError(startError, null);
    history.pushState(null, '', `/projects/${projectId}/runs/${run.id}`);
    show(run);
    document.getElementById('run-title').focus();
  } catch (error) {
    unanswered = error.unknownOutcome ? asked : null;
    showError(startError, error);
  } finally {
    starting = false;
    offerStart();
  }
}

/** A second run is not started by accident; without news of the first there is no reason to wait for it. */
function offerStart() {
  if (!startButton) return;
  startButton.disabled = starting || view.following;
  startButton.textContent = startButton.disabled ? 'Run in progress…' : 'Start run';
}

function show(run) {
  view.follow(run);
  recent.refresh(run.id);
}

/** The run in the address, if there is one. */
function addressedRun() {
  return /\/runs\/([^/]+)\/?$/.exec(location.pathname)?.[1] ?? null;
}

async function showAddressed() {
  const runId = addressedRun();
  if (runId === null) {
    view.leave();
    recent.refresh();
    return;
  }
  try {
    const run = await request(`${runsUrl}/${encodeURIComponent(runId)}`);
    if (addressedRun() === runId) show(run);
    showError(pageError, null);
  } catch (error) {
    showError(pageError, error);
    recent.refresh();
  }
}

form?.addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  start();
});
view.addEventListener('connection', offerStart);
view.addEventListener('ended', ({ detail }) => recent.refresh(detail.id));
addEventListener('popstate', showAddressed);
addEventListener('pagehide', () => view.leave());
addEventListener('pageshow', ({ persisted }) => persisted && showAddressed());
offerStart();
showAddressed();
