/** The project's documents: shows them, and uploads more. */
import { RequestError } from '../run-client.js';
import { request } from './api.js';
import { element, part, setBusy, setText } from '../elements/dom.js';
import { announce, showError } from './notices.js';

const UPLOAD_MS = 300_000;
const UNITS = ['B', 'KB', 'MB'];

/**
 * A size for people.
 * @param {number} bytes
 */
export function sizeText(bytes) {
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 10 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}

/** True where the input `accept`s the file; browsers only suggest it. */
function accepts(accept, file) {
  const name = file.name.toLowerCase();
  return accept.split(',').some((kind) => (kind.startsWith('.') ? name.endsWith(kind) : file.type === kind));
}

/** A refusal that says which file it is about, once. */
function about(file, { message }) {
  return message.includes(file.name) ? message : `${file.name}: ${message}`;
}

export class Documents {
  #list;
  #empty;
  #error;
  #projectId;
  #url;
  #uploading = false;

  /**
   * @param {HTMLElement} root the documents' section
   * @param {string} projectId
   */
  constructor(root, projectId) {
    this.#list = part(root, 'list');
    this.#empty = part(root, 'empty');
    this.#error = part(root, 'error');
    this.#projectId = projectId;
    this.#url = `/api/v1/projects/${projectId}/documents`;
    const form = root.querySelector('form');
    if (form === null) return;
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      if (!this.#uploading) this.#upload(form);
    });
    form.querySelector('button').disabled = false;
  }

  /** What was wrong with the last upload is no longer news. */
  forgetError() {
    if (this.#error !== null) showError(this.#error, null);
  }

  /** One request for each file: one that is refused does not keep the others out. */
  async #upload(form) {
    const button = form.querySelector('button');
    const { accept, files } = form.elements.file;
    const refused = [];
    let failure = null;
    this.forgetError();
    this.#uploading = true;
    setBusy(button, true);
    for (const [at, file] of [...files].entries()) {
      setText(button, files.length > 1 ? `Uploading ${at + 1} of ${files.length}…` : 'Uploading…');
      try {
        await this.#send(file, accept);
        announce(`${file.name} uploaded`);
      } catch (error) {
        refused.push(about(file, error));
        failure = error;
      }
    }
    form.reset();
    setText(button, 'Upload');
    this.#uploading = false;
    setBusy(button, false);
    showError(this.#error, failure && new RequestError(failure.status, failure.code, refused.join(' ')));
    await this.#refresh();
  }

  async #send(file, accept) {
    if (!accepts(accept, file)) {
      throw new RequestError(415, 'UNSUPPORTED', `${file.name} is of another kind; expected Markdown or text.`);
    }
    const body = new FormData();
    body.append('file', file, file.name);
    await request(this.#url, { method: 'POST', body }, UPLOAD_MS);
  }

  async #refresh() {
    try {
      const { documents } = await request(this.#url);
      this.#list.replaceChildren(...documents.map((document) => this.#row(document)));
      this.#empty.hidden = documents.length > 0;
    } catch {
      announce('The list of documents could not be refreshed');
    }
  }

  #row({ id, path, version, size }) {
    const facts = version > 1 ? `version ${version}, ${sizeText(size)}` : sizeText(size);
    const link = element('a', '', element('span', 'path', path), element('span', 'facts', facts));
    link.href = `/projects/${this.#projectId}/documents/${id}`;
    return element('li', '', link);
  }
}
