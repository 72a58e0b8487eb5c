/**
 * The timeline of a run: for each step a track with its attempts, and the same in words.
 *
 * @typedef {import('../run-client.js').RunState} RunState
 * @typedef {import('./agent-names.js').AgentNames} AgentNames
 * @typedef {import('./timeline-fold.js').Attempt} Attempt
 * @typedef {import('./timeline-fold.js').StepTimeline} StepTimeline
 * @typedef {import('./timeline-fold.js').Timeline} Timeline
 */
import { attemptSpan, attemptText } from './attempt-text.js';
import { childrenBy, element, found, setAttributes, setChildren, setText } from '../elements/dom.js';

const SVG = 'http://www.w3.org/2000/svg';

export class TimelineView {
  #list;
  #names;

  /**
   * @param {HTMLElement} list
   * @param {AgentNames} names
   */
  constructor(list, names) {
    this.#list = list;
    this.#names = names;
  }

  /**
   * @param {Timeline} timeline
   * @param {RunState} state of the same run
   * @param {number} nowMs of the server's clock
   */
  draw(timeline, state, nowMs) {
    const from = Date.parse(state.started_at ?? '') || nowMs;
    const to = Date.parse(state.completed_at ?? '') || nowMs;
    const known = childrenBy(this.#list, 'stepId');
    setChildren(this.#list, timeline.map((step) => {
      const row = known.get(step.step_id) ?? this.#newRow(step);
      this.#drawAttempts(row, step.attempts, from, to);
      return row;
    }));
  }

  /** @param {StepTimeline} step */
  #newRow(step) {
    const track = svg('svg', { class: 'track', viewBox: '0 0 1000 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    const row = element('li', '', element('span', 'path', this.#names.of(step.agent_type)), track, element('ol', ''));
    row.dataset.stepId = step.step_id;
    return row;
  }

  /**
   * @param {HTMLElement} row
   * @param {readonly Attempt[]} attempts
   * @param {number} from milliseconds since 1970
   * @param {number} to
   */
  #drawAttempts(row, attempts, from, to) {
    const [track, words] = [found(row, '.track'), found(row, 'ol')];
    setChildren(track, attempts.map((attempt, at) => {
      const rect = track.children[at] ?? svg('rect', { class: 'attempt', height: '10' });
      const { x, width } = attemptSpan(attempt, from, to);
      setAttributes(rect, { 'data-outcome': attempt.outcome, x: String(x), width: String(width) });
      return rect;
    }));
    setChildren(words, attempts.map((attempt, at) => {
      const line = words.children[at] ?? document.createElement('li');
      setAttributes(line, { 'data-outcome': attempt.outcome });
      setText(line, this.#names.within(attemptText(attempt, to)));
      return line;
    }));
  }
}

/** @param {string} tag @param {Record<string, string>} attributes */
function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  setAttributes(made, attributes);
  return made;
}
