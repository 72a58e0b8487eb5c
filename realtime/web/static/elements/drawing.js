/** Draws at most once per animation frame; a hidden tab has no frames, so there at most four times a second. */

const HIDDEN_MS = 250;

export class Drawing {
  #draw;
  /** @type {?() => void} */
  #withdraw = null;
  #reschedule = () => this.#schedule();

  /** @param {() => void} draw everything, from what is known when it is called */
  constructor(draw) {
    this.#draw = draw;
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

  /** The document knows of this only while something is due: elements that have left it can be forgotten. */
  #schedule() {
    this.#withdraw?.();
    const cancel = this.#due();
    document.addEventListener('visibilitychange', this.#reschedule);
    this.#withdraw = () => {
      document.removeEventListener('visibilitychange', this.#reschedule);
      cancel();
    };
  }

  #due() {
    const draw = () => this.now();
    if (document.hidden) {
      const timer = setTimeout(draw, HIDDEN_MS);
      return () => clearTimeout(timer);
    }
    const frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }
}
