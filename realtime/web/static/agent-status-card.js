/**
 * `<agent-status-card agent-type="…" name="…" status="running" progress="40" label="…">`: one agent of a run, in an open
 * shadow root, drawn anew in a microtask after attributes have changed. A declarative shadow root, as
 * templates/card.html writes it, is taken over as it is. What can be styled from outside is listed in agent-status-card.css.
 *
 * - `agent-type`, `name`: which agent; the name is for people, by default it is made of the type.
 * - `status`: `queued`, `running`, `complete` or `error`; anything else is drawn as queued.
 * - `progress`: 0 to 100, shown while running, clamped. `label`: what it does; shown while running.
 * - `message`: what came of it; shown when complete or in error.
 * - `paused`, while running: nothing moves. `cancelled`, of an error: it was wanted so, and is no alarm.
 * - `chip`: stands in place of the word for all that.
 * - Badges: `attempt` from 2 on, `cached`, `reused`, and `tokens` above 0.
 */
import { nameOf } from './elements/agent-name.js';
import { PageElement, define } from './elements/custom-element.js';
import { found, setAttributes, setText } from './elements/dom.js';
import { tokensText } from './elements/facts.js';
import { made } from './elements/markup.js';
import { fetchedSheet } from './elements/sheet.js';

const STATUSES = ['queued', 'running', 'complete', 'error'];
/** @type {Record<string, string|undefined>} what each can be instead, by an attribute of that name */
const VARIANTS = { running: 'paused', error: 'cancelled' };
/** @type {Record<string, string>} */
const WORDS = {
  queued: 'Queued', running: 'Running', paused: 'Paused', complete: 'Complete', error: 'Error', cancelled: 'Cancelled',
};
/** @type {Record<string, string>} */
const ICONS = {
  queued: 'M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 0 0 0-17M12 7.5V12l3 2',
  running: 'M12 3.5a8.5 8.5 0 1 1-8.5 8.5',
  paused: 'M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 0 0 0-17M10 9.5v5M14 9.5v5',
  complete: 'M4.5 12.5l5 5L19.5 7',
  error: 'M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 0 0 0-17M12 7.75v5M12 16.2v.1',
  cancelled: 'M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 0 0 0-17M6.2 6.2l11.6 11.6',
};
const NOT_STARTED = 'Not started yet';
/** @type {import('./elements/markup.js').Markup} */
const CARD = ['div', { class: 'card', part: 'card', role: 'group' },
  ['svg', { class: 'icon', part: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true' }, ['path', {}]],
  ['h3', { class: 'name', part: 'name' }],
  ['span', { class: 'chip', part: 'chip' }],
  ['div', { class: 'line' }, ['p', { class: 'subtitle', part: 'subtitle' }]],
  ['span', { class: 'badges', part: 'badges' }],
  ['div', { class: 'progress' },
    ['div', { class: 'bar', part: 'bar', role: 'progressbar', 'aria-valuemin': '0', 'aria-valuemax': '100' },
      ['svg', { 'aria-hidden': 'true' },
        ['rect', { class: 'rail', width: '100%', height: '100%' }],
        ['rect', { class: 'fill', part: 'fill', height: '100%' }]]],
    ['div', { class: 'amount' }, ['span', { class: 'percent', part: 'percent', 'aria-hidden': 'true' }]]]];
const STYLE = new URL('./agent-status-card.css', import.meta.url);

export class AgentStatusCard extends PageElement {
  static observedAttributes = [
    'agent-type', 'name', 'status', 'progress', 'label', 'message', 'chip', 'paused', 'cancelled', 'attempt', 'cached',
    'reused', 'tokens',
  ];
  /** @type {?Element} */
  #place = null;
  #asked = false;

  connectedCallback() {
    this.#place ??= this.#takeOver() ?? this.#build();
    this.#draw(this.#place);
  }

  /** However many change at once, it is drawn once. */
  attributeChangedCallback() {
    const place = this.#place;
    if (place === null || this.#asked) return;
    this.#asked = true;
    queueMicrotask(() => {
      this.#asked = false;
      this.#draw(place);
    });
  }

  #takeOver() {
    return this.shadowRoot?.querySelector('.card') ?? null;
  }

  #build() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    const place = made(CARD);
    root.adoptedStyleSheets = [fetchedSheet(STYLE)];
    root.replaceChildren(place);
    return place;
  }

  /** @param {Element} place */
  #draw(place) {
    const look = this.#look();
    setAttributes(place, { 'aria-label': `${look.name}: ${look.word}` });
    setAttributes(found(place, '.icon path'), { d: look.icon });
    setText(found(place, '.name'), look.name);
    setText(found(place, '.chip'), look.word);
    setAttributes(found(place, '.chip'), { title: this.getAttribute('chip') || null });
    setText(found(place, '.subtitle'), look.subtitle);
    setAttributes(found(place, '.subtitle'), { title: look.whole });
    drawBadges(found(place, '.badges'), look.badges);
    drawProgress(place, look);
  }

  #look() {
    const status = this.getAttribute('status') ?? '';
    const known = STATUSES.includes(status) ? status : 'queued';
    const look = this.#variant(known) ?? known;
    const label = known === 'running' ? this.getAttribute('label') : null;
    const message = this.getAttribute('message');
    return {
      name: this.getAttribute('name') || nameOf(this.getAttribute('agent-type') ?? ''),
      word: this.getAttribute('chip') || WORDS[look],
      icon: ICONS[look],
      subtitle: (known === 'queued' ? NOT_STARTED : label) ?? message ?? '',
      /** What is said in one line, and may not have the room. */
      whole: label || null,
      progress: Math.round(Math.min(100, Math.max(0, this.#number('progress')))),
      badges: this.#badges(),
    };
  }

  /** @param {string} status */
  #variant(status) {
    const variant = VARIANTS[status];
    return variant !== undefined && this.hasAttribute(variant) ? variant : null;
  }

  #badges() {
    const [attempt, tokens] = [this.#number('attempt'), this.#number('tokens')];
    return [
      attempt > 1 && `Attempt ${attempt}`,
      this.hasAttribute('reused') && 'Reused',
      this.hasAttribute('cached') && 'Cached',
      tokens > 0 && `${tokensText(tokens)} tokens`,
    ].filter((badge) => badge !== false);
  }

  /** @param {string} attribute */
  #number(attribute) {
    const value = Number(this.getAttribute(attribute));
    return Number.isFinite(value) ? value : 0;
  }
}

/** @param {Element} place @param {{name: string, progress: number, subtitle: string}} look */
function drawProgress(place, { name, progress, subtitle }) {
  setAttributes(found(place, '.bar'), {
    'aria-label': `Progress of ${name}`,
    'aria-valuenow': String(progress),
    'aria-valuetext': subtitle ? `${progress} percent, ${subtitle}` : `${progress} percent`,
  });
  setAttributes(found(place, '.fill'), { width: `${progress}%` });
  setText(found(place, '.percent'), `${progress} %`);
}

/** @param {Element} place @param {readonly string[]} texts */
function drawBadges(place, texts) {
  if (place.children.length === texts.length) {
    texts.forEach((text, at) => setText(place.children[at], text));
  } else {
    place.replaceChildren(...texts.map(newBadge));
  }
}

/** @param {string} text */
function newBadge(text) {
  const badge = document.createElement('span');
  badge.className = 'badge';
  badge.setAttribute('part', 'badge');
  badge.textContent = text;
  return badge;
}

define('agent-status-card', AgentStatusCard, STYLE);
