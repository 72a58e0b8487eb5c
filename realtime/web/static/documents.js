/** The project's documents: shows them, and uploads more. */
import { ApiError, request } from './api.js';
import { announce, showError } from './notices.js';

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

export class Documents {
  #list;
  #empty;
  #url;

  /**
   * @param {HTMLElement} root the documents' section
   * @param {string} projectId
   */
  constructor(root, projectId) {
    this.#list = root.querySelector('[data-part="list"]');
    this.#empty = root.querySelector('[data-part="empty"]');
    this.#url = `/api/v1/projects/${projectId}/documents`;
    const form = root.querySelector('form');
    if (form === null) return;
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.#upload(form);
    });
    form.querySelector('button').disabled = false;
  }

  /** One request for each file: one that is refused does not keep the others out. */
  async #upload(form) {
    const button = form.querySelector('button');
    const refused = [];
    let failure = null;
    button.disabled = true;
    for (const file of form.elements.file.files) {
      const body = new FormData();
      body.append('file', file, file.name);
      try {
        await request(this.#url, { method: 'POST', body });
        announce(`${file.name} uploaded`);
      } catch (error) {
        refused.push(`${file.name}: ${error.message}`);
        failure = error;
      }
    }
    form.reset();
    button.disabled = false;
    const shown = failure && new ApiError(failure.status, failure.code, refused.join(' '));
    showError(form.querySelector('[data-part="error"]'), shown);
    await this.#refresh();
  }

  async #refresh() {
    try {
      const { documents } = await request(this.#url);
      this.#list.replaceChildren(...documents.map(row));
      this.#empty.hidden = documents.length > 0;
    } catch {
      announce('The list of documents could not be refreshed');
    }
  }
}

function row({ path, version, size }) {
  const item = document.createElement('li');
  const name = document.createElement('span');
  name.className = 'path';
  name.textContent = path;
  const facts = document.createElement('span');
  facts.className = 'facts';
  facts.textContent = version > 1 ? `version ${version}, ${sizeText(size)}` : sizeText(size);
  item.append(name, facts);
  return item;
}
