/**
 * The project's documents: shows them, and uploads more.
 *
 * @typedef {{id: string, path: string, version: number, size: number}} DocumentInfo
 */
import { RequestError } from '../client/requests.js';
import { api } from './api.js';
import { element, found, part, setBusy, setText } from '../elements/dom.js';
import { announce, showErrors } from './notices.js';

const UNITS = ['B', 'KB', 'MB'];
/** As the server has it: a file that is larger need not be sent. */
const MOST_BYTES = 5_000_000;

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

/**
 * True where the input `accept`s the file; browsers only suggest it.
 * @param {string} accept
 * @param {File} file
 */
function accepts(accept, file) {
  const name = file.name.toLowerCase();
  return accept.split(',').some((kind) => (kind.startsWith('.') ? name.endsWith(kind) : file.type === kind));
}

/**
 * A refusal that says which file it is about, once.
 * @param {File} file
 * @param {RequestError} refusal
 */
function about(file, { status, code, message }) {
  return new RequestError(status, code, message.includes(file.name) ? message : `${file.name}: ${message}`);
}

/**
 * @param {File} file
 * @param {string} accept what the input accepts
 * @throws {RequestError} the server would not keep it
 */
function check(file, accept) {
  if (!accepts(accept, file)) {
    throw new RequestError(415, 'UNSUPPORTED', `${file.name} is of another kind; expected Markdown or text.`);
  }
  if (file.size > MOST_BYTES) {
    const message = `${file.name} has ${sizeText(file.size)}; at most ${sizeText(MOST_BYTES)} can be kept.`;
    throw new RequestError(413, 'DOCUMENT_TOO_LARGE', message);
  }
}

export class Documents {
  #list;
  #empty;
  #more;
  #form;
  #projectId;
  #url;
  /** @type {?Promise<void>} null: nothing is being uploaded */
  #uploading = null;
  #refused = false;
  /** @type {?object} another for each time the list is asked for: of two answers, only the last is drawn */
  #refreshing = null;

  /**
   * @param {HTMLElement} root the documents' section
   * @param {string} projectId
   */
  constructor(root, projectId) {
    this.#list = part(root, 'list');
    this.#empty = part(root, 'empty');
    this.#more = part(root, 'more');
    this.#projectId = projectId;
    this.#url = `/api/v1/projects/${projectId}/documents`;
    const form = root.querySelector('form');
    this.#form = form;
    if (form === null) return;
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.#uploading ??= this.#upload(form).finally(() => {
        this.#uploading = null;
        this.#refresh();
      });
    });
    /** @type {HTMLButtonElement} */ (found(form, 'button')).disabled = false;
  }

  /**
   * Wait for what is being uploaded.
   * @returns {Promise<boolean>} false: something was wrong with the last upload, which is still news
   */
  async uploaded() {
    while (this.#uploading !== null) await this.#uploading;
    return !this.#refused;
  }

  /** What was wrong with the last upload is no longer news. */
  forgetError() {
    this.#refused = false;
    if (this.#form !== null) showErrors(part(this.#form, 'error'));
  }

  /**
   * One request for each file: one that is refused does not keep the others out, unless nobody is signed in.
   * @param {HTMLFormElement} form
   */
  async #upload(form) {
    const button = found(form, 'button');
    const { accept, files } = /** @type {HTMLInputElement} */ (found(form, 'input'));
    const chosen = [...(files ?? [])];
    /** @type {RequestError[]} */
    const refused = [];
    this.forgetError();
    setBusy(button, true);
    for (const [at, file] of chosen.entries()) {
      setText(button, chosen.length > 1 ? `Uploading ${at + 1} of ${chosen.length}…` : 'Uploading…');
      try {
        await this.#send(file, accept);
        announce(`${file.name} uploaded`);
      } catch (error) {
        refused.push(about(file, /** @type {RequestError} */ (error)));
        if (refused.at(-1)?.status === 401) break;
      }
    }
    form.reset();
    setText(button, 'Upload');
    setBusy(button, false);
    showErrors(part(form, 'error'), ...refused);
    this.#refused = refused.length > 0;
  }

  /** @param {File} file @param {string} accept */
  async #send(file, accept) {
    check(file, accept);
    const body = new FormData();
    body.append('file', file, file.name);
    await api.upload(this.#url, body);
  }

  async #refresh() {
    const refresh = {};
    this.#refreshing = refresh;
    try {
      /** @type {{documents: DocumentInfo[], total: number}} */
      const { documents, total } = await api.get(`${this.#url}?limit=${this.#more.dataset.listed}`);
      if (refresh !== this.#refreshing) return;
      this.#list.replaceChildren(...documents.map((document) => this.#row(document)));
      this.#empty.hidden = documents.length > 0;
      this.#more.hidden = documents.length === total;
      setText(part(this.#more, 'total'), total.toLocaleString('en-US'));
    } catch {
      announce('The list of documents could not be refreshed');
    }
  }

  /** @param {DocumentInfo} document */
  #row({ id, path, version, size }) {
    const facts = version > 1 ? `version ${version}, ${sizeText(size)}` : sizeText(size);
    const link = element('a', '', element('span', 'path', path), element('span', 'facts', facts));
    link.href = `/projects/${this.#projectId}/documents/${id}`;
    return element('li', '', link);
  }
}
