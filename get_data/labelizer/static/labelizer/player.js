// Plays the pictures in their order, and paints labels on those that pass while a key is held.

const RATES = [2, 5, 10, 20, 40];
const LAG_MS = 300; // from seeing to pressing

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./store.js").ClassName} ClassName */

/** Tells its listeners of `change`. */
export class Player extends EventTarget {
  /**
   * @param {Session} session
   * @param {(attribute: ClassName, value: number, from: number, to: number) => void} onPainted
   *   places in the order
   */
  constructor(session, onPainted) {
    super();
    this.session = session;
    this.onPainted = onPainted;
    this.rate = 20; // pictures a second
    /** @type {-1 | 0 | 1} */
    this.heading = 0;
    this.startedAt = 0;
    this.startedMs = 0;
    /** @type {{attribute: ClassName, value: number, from: number} | null} */
    this.painting = null;
  }

  get playing() {
    return this.heading !== 0;
  }

  /** @param {1 | -1} heading plays that way, or stops */
  toggle(heading) {
    if (this.playing) this.stop();
    else this.#begin(heading);
  }

  stop() {
    if (!this.playing) return;
    this.endPainting();
    this.heading = 0;
    this.#tell();
  }

  /** @param {1 | -1} step */
  changeRate(step) {
    const index = RATES.indexOf(this.rate) + step;
    this.rate = RATES[Math.min(Math.max(index, 0), RATES.length - 1)];
    if (this.playing) this.#count();
    this.#tell();
  }

  /** Pictures get the class from here on, and those that passed while the hand was on its way. @param {ClassName} attribute @param {number} value */
  paint(attribute, value) {
    this.endPainting();
    const behind = Math.round((LAG_MS / 1000) * this.rate);
    const from = this.session.place - this.heading * behind;
    this.painting = {
      attribute,
      value,
      from: Math.min(Math.max(from, 0), this.session.order.length - 1),
    };
    this.#tell();
  }

  endPainting() {
    const painted = this.painting;
    if (!painted) return;
    this.painting = null;
    this.onPainted(painted.attribute, painted.value, painted.from, this.session.place);
    if (this.playing) this.#count(); // the order may be another now
    this.#tell();
  }

  /** @param {1 | -1} heading */
  #begin(heading) {
    if (this.session.order.length < 2) return;
    this.heading = heading;
    this.#count();
    this.#tell();
    requestAnimationFrame((now) => this.#step(now));
  }

  #count() {
    this.startedAt = this.session.place;
    this.startedMs = performance.now();
  }

  /** @param {number} now */
  #step(now) {
    if (!this.playing) return;
    const passed = Math.floor((Math.max(now - this.startedMs, 0) * this.rate) / 1000);
    const last = this.session.order.length - 1;
    const place = Math.min(Math.max(this.startedAt + this.heading * passed, 0), last);
    this.session.goTo(place);
    if ((this.heading > 0 && place === last) || (this.heading < 0 && place === 0)) this.stop();
    else requestAnimationFrame((next) => this.#step(next));
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
