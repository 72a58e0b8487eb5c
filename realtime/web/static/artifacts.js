/**
 * The Artifacts page: shows the content of the artifact that the address names, to copy or to download; where there is
 * room for it beside the list, the first one by default.
 */
import { request } from './api.js';
import { announce, showError } from './notices.js';

const EXTENSIONS = {
  'text/markdown': 'md',
  'text/csv': 'csv',
  'text/html': 'html',
  'text/x-gherkin': 'feature',
  'text/x-typescript': 'spec.ts',
  'application/json': 'json',
};

const { projectId } = document.getElementById('artifacts-page').dataset;
const viewer = document.getElementById('artifact');
const part = (name) => viewer.querySelector(`[data-part="${name}"]`);
const links = document.querySelectorAll('[data-artifact-id]');
const roomy = matchMedia('(min-width: 56rem)');
let shown = null;

/** The artifact in the address, if there is one. */
function addressed() {
  return location.hash.startsWith('#artifact-') ? location.hash.slice('#artifact-'.length) : null;
}

/** The artifact to show. */
function wanted() {
  return addressed() ?? (roomy.matches ? (links[0]?.dataset.artifactId ?? null) : null);
}

async function showWanted() {
  const id = wanted();
  for (const link of links) {
    if (link.dataset.artifactId === id) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  }
  if (id === null) {
    viewer.hidden = true;
    return;
  }
  try {
    const artifact = await request(`/api/v1/projects/${projectId}/artifacts/${encodeURIComponent(id)}`);
    if (wanted() === id) show(artifact);
  } catch (error) {
    viewer.hidden = false;
    part('body').hidden = true;
    showError(part('error'), error);
  }
}

function show(artifact) {
  shown = artifact;
  showError(part('error'), null);
  part('title').textContent = artifact.title;
  part('content').textContent = artifact.content;
  part('body').hidden = false;
  viewer.hidden = false;
  if (addressed() !== null) part('title').focus();
}

/** A name that every file system takes. */
function fileName({ title, content_type: type }) {
  const stem = title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '') || 'artifact';
  return `${stem}.${EXTENSIONS[type.split(';')[0].trim()] ?? 'txt'}`;
}

function download() {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([shown.content], { type: shown.content_type }));
  link.download = fileName(shown);
  link.click();
  URL.revokeObjectURL(link.href);
}

async function copy() {
  const copied = navigator.clipboard ? await copyByPermission() : copyBySelection();
  const said = copied ? 'Copied' : 'Could not copy; the text is selected';
  part('copied').textContent = said;
  announce(said);
}

function copyByPermission() {
  return navigator.clipboard.writeText(shown.content).then(() => true, copyBySelection);
}

/** On plain HTTP browsers have no clipboard object. */
function copyBySelection() {
  getSelection().selectAllChildren(part('content'));
  return document.execCommand('copy');
}

part('download').addEventListener('click', download);
part('copy').addEventListener('click', copy);
addEventListener('hashchange', showWanted);
for (const time of document.querySelectorAll('time')) {
  const options = { dateStyle: 'medium', timeStyle: 'short' };
  time.textContent = new Date(time.dateTime).toLocaleString(undefined, options);
}
showWanted();
