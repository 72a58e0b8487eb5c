/** Draws at most once per animation frame; a hidden tab has no frames, so there at most four times a second. */

const HIDDEN_MS = 250;

export class Drawing {
  #draw;
  #withdraw = null;

  /** @param {() => void} draw everything, from what is known when it is called */
  constructor(draw) {
    this.#draw = draw;
    document.addEventListener('visibilitychange', () => this.#withdraw !== null && this.#schedule());
  }

  /** Something changed: draw soon. */
  ask() {
    if (this.#withdraw === null) this.#schedule();
  }

  /** Draw at once, whether or not anything was asked for. */
  now() {
    this.#withdraw?.();
    this.#withdraw = null;
    this.#draw();
  }

  #schedule() {
    this.#withdraw?.();
    const due = () => this.now();
    if (document.hidden) {
      const timer = setTimeout(due, HIDDEN_MS);
      this.#withdraw = () => clearTimeout(timer);
    } else {
      const frame = requestAnimationFrame(due);
      this.#withdraw = () => cancelAnimationFrame(frame);
    }
  }
}
