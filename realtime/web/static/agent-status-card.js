/**
 * `<agent-status-card agent-type="…" name="…" status="running" progress="40" label="…" message="…">`: one agent of a
 * run. It draws its attributes whenever they change, into the light DOM, styled by agent-status-card.css.
 *
 * - `status`: `queued` (grey, no bar), `running` (blue, spinner, bar, `label` below), `complete` (green, check mark,
 *   `message` below if there is one), `error` (red, icon, `message` below). Anything else is drawn as queued.
 * - `chip`: stands in place of the status' own word. `paused`: what would move stands still.
 * - `progress`: 0 to 100, only shown while running; what is outside is clamped.
 * - `name`: for people; `agent-type` by default.
 */

const LABELS = { queued: 'Queued', running: 'Running', complete: 'Complete', error: 'Error' };
const ICONS = {
  queued: 'M12 7v5l3 2 M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18',
  running: 'M12 3a9 9 0 1 1-9 9',
  complete: 'M5 13l4.5 4.5L19.5 7',
  error: 'M12 7.5v6 M12 16.6v.2 M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18',
};
const SVG = 'http://www.w3.org/2000/svg';

export class AgentStatusCard extends HTMLElement {
  static observedAttributes = ['agent-type', 'name', 'status', 'chip', 'progress', 'label', 'message'];
  #parts = null;

  connectedCallback() {
    if (this.#parts === null) this.#build();
    this.#draw();
  }

  attributeChangedCallback() {
    if (this.#parts !== null) this.#draw();
  }

  /** @returns {'queued'|'running'|'complete'|'error'} */
  get status() {
    const status = this.getAttribute('status');
    return Object.hasOwn(LABELS, status) ? status : 'queued';
  }

  /** @returns {number} an integer from 0 to 100 */
  get progress() {
    const progress = Number(this.getAttribute('progress'));
    return Number.isFinite(progress) ? Math.round(Math.min(100, Math.max(0, progress))) : 0;
  }

  #build() {
    const icon = document.createElementNS(SVG, 'svg');
    icon.setAttribute('viewBox', '0 0 24 24');
    icon.setAttribute('aria-hidden', 'true');
    icon.setAttribute('class', 'icon');
    const path = icon.appendChild(document.createElementNS(SVG, 'path'));
    const name = element('h3', 'name');
    const chip = element('span', 'chip');
    const subtitle = element('p', 'subtitle');
    const percent = element('span', 'percent');
    percent.setAttribute('aria-hidden', 'true');
    const bar = element('div', 'bar');
    bar.setAttribute('role', 'progressbar');
    bar.setAttribute('aria-valuemin', '0');
    bar.setAttribute('aria-valuemax', '100');
    const fill = bar.appendChild(element('div', 'fill'));
    const progress = element('div', 'progress');
    progress.append(bar, percent);
    const head = element('div', 'head');
    head.append(icon, name, chip);
    this.replaceChildren(head, subtitle, progress);
    this.setAttribute('role', 'group');
    this.#parts = { path, name, chip, subtitle, progress, bar, fill, percent };
  }

  #draw() {
    const { path, name, chip, subtitle, progress, bar, fill, percent } = this.#parts;
    const { status } = this;
    const title = this.getAttribute('name') || this.getAttribute('agent-type') || '';
    const word = this.getAttribute('chip') || LABELS[status];
    const message = this.getAttribute('message');
    const below = { running: this.getAttribute('label'), complete: message, error: message }[status] ?? '';
    this.dataset.status = status;
    this.setAttribute('aria-label', `${title}: ${word}`);
    path.setAttribute('d', ICONS[status]);
    name.textContent = title;
    chip.textContent = word;
    subtitle.textContent = below;
    subtitle.hidden = below === '';
    progress.hidden = status !== 'running';
    bar.setAttribute('aria-valuenow', String(this.progress));
    bar.setAttribute('aria-label', `Progress of ${title}`);
    fill.style.width = `${this.progress}%`;
    percent.textContent = `${this.progress} %`;
  }
}

function element(tag, className) {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}

customElements.define('agent-status-card', AgentStatusCard);
