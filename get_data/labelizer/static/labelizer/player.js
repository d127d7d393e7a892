// Plays the pictures as they were taken, and paints labels on those that pass while a key is held.

const RATES = [2, 5, 10, 20, 40];
const REACTION_MS = 300; // from seeing to pressing

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types").ClassName} ClassName */

/**
 * A class being painted: from this position on.
 * @typedef {{attribute: ClassName, value: number, from: number}} Painting
 */

/** Dispatches `change`. */
export class Player extends EventTarget {
  /**
   * @param {Session} session
   * @param {(painting: Painting, to: number) => void} onPainted  `to`: last position
   */
  constructor(session, onPainted) {
    super();
    this.session = session;
    this.onPainted = onPainted;
    /** Pictures a second. */
    this.rate = 20;
    /** @type {-1 | 0 | 1} 0 while stopped */
    this.heading = 0;
    this.startedAt = 0;
    this.startedMs = 0;
    /** @type {Painting | null} */
    this.painting = null;
  }

  /** Position of the last picture. */
  get #last() {
    return this.session.store.count - 1;
  }

  get playing() {
    return this.heading !== 0;
  }

  /**
   * Play in a direction, or stop.
   * @param {1 | -1} heading
   */
  toggle(heading) {
    if (this.playing) this.stop();
    else this.#start(heading);
  }

  stop() {
    if (!this.playing) return;
    this.endPainting();
    this.heading = 0;
    this.#emit();
  }

  /** @param {1 | -1} step */
  changeRate(step) {
    const index = RATES.indexOf(this.rate) + step;
    this.rate = RATES[Math.min(Math.max(index, 0), RATES.length - 1)];
    if (this.playing) this.#restartClock();
    this.#emit();
  }

  /**
   * Begin to paint a class: from here on, and on the pictures that passed while the hand moved.
   * @param {ClassName} attribute
   * @param {number} value
   */
  paint(attribute, value) {
    this.endPainting();
    const behind = Math.round((REACTION_MS / 1000) * this.rate);
    const from = this.session.position - this.heading * behind;
    this.painting = { attribute, value, from: Math.min(Math.max(from, 0), this.#last) };
    this.#emit();
  }

  endPainting() {
    const { painting } = this;
    if (!painting) return;
    this.painting = null;
    this.onPainted(painting, this.session.position);
    this.#emit();
  }

  /** @param {1 | -1} heading */
  #start(heading) {
    if (this.session.position < 0 || this.#last === 0) return;
    this.heading = heading;
    this.#restartClock();
    this.#emit();
    requestAnimationFrame((now) => this.#step(now));
  }

  /** Count pictures from here and now on. */
  #restartClock() {
    this.startedAt = this.session.position;
    this.startedMs = performance.now();
  }

  /** @param {number} now */
  #step(now) {
    if (!this.playing) return;
    const passed = Math.floor((Math.max(now - this.startedMs, 0) * this.rate) / 1000);
    const end = this.heading > 0 ? this.#last : 0;
    const position = this.startedAt + this.heading * passed;
    this.session.goInTime(position);
    if (this.heading * (position - end) >= 0) this.stop();
    else requestAnimationFrame((next) => this.#step(next));
  }

  #emit() {
    this.dispatchEvent(new Event("change"));
  }
}
