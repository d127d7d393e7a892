// The steering of a drive over time, under the picture: click to go there, drag to select.

import { byId } from "./dom.js";
import { Flag } from "./store.js";

/** @typedef {import("./session.js").Session} Session */

const SPAN = 600; // pictures in sight at first
const MIN_SPAN = 40;
const ZOOM = 1.25; // a notch of the wheel
const MARGIN = 0.04; // of the span, at which one is when the next part is shown
const DRAG_PX = 4; // shorter is a click
const PADDING_PX = 7; // above and below the curve
const MARK_PX = 5; // height of the mark of a suspicious label
const COLOURS = ["line", "quiet", "ink", "accent", "accent-soft", "bad", "model"];

export class Curve {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.canvas = /** @type {HTMLCanvasElement} */ (byId("curve"));
    /** What only changes with labels, drive or zoom; copied for each picture. */
    this.layer = document.createElement("canvas");
    /** Size of the canvas on the page; asking the page in each draw would cost a layout. */
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    /** What the layer was drawn for. */
    this.drawn = "";
    this.changes = 0;
    /** Pictures in sight, at most. */
    this.span = SPAN;
    /** @type {[first: number, end: number]} positions in sight */
    this.sight = [0, 0];
    this.drives = boundsOf(session.store.captures.drive.index);
    /** @type {Record<string, string>} */
    this.colours = {};
    /** @type {Float32Array | null} steering of all labels, once it is needed */
    this.steering = null;
    session.store.addEventListener("change", () => this.#follow());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.colours = {};
      this.drawn = "";
      this.draw();
    });
    new ResizeObserver(() => {
      this.width = this.canvas.clientWidth;
      this.height = this.canvas.clientHeight;
      this.draw();
    }).observe(this.canvas);
  }

  /** Take over what a step changed. */
  #follow() {
    const { store } = this.session;
    this.changes += 1;
    if (!this.steering) return;
    for (const position of store.changed) {
      this.steering[position] = store.value(position, "direction");
    }
  }

  /** Draw the drive of the picture shown. */
  draw() {
    const { canvas, session, layer, width, height } = this;
    if (!width) return; // not in sight
    const scale = devicePixelRatio;
    const [pixelWidth, pixelHeight] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) {
      for (const each of [canvas, layer]) [each.width, each.height] = [pixelWidth, pixelHeight];
      this.drawn = "";
    }
    const context = canvas.getContext("2d");
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, pixelWidth, pixelHeight);
    if (session.position < 0) return;
    this.#readColours();
    this.#look(session.position);
    const { status } = session.model;
    const drawn = `${this.sight} ${this.changes} ${status}`;
    if (this.drawn !== drawn) this.#drawLayer(scale);
    this.drawn = drawn;
    context.scale(scale, scale);
    this.#drawSelection(context);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(layer, 0, 0);
    context.scale(scale, scale);
    this.#drawPlace(context);
  }

  /**
   * Let the mouse go to pictures, select and zoom.
   * @param {() => void} onMove  called before
   */
  listen(onMove) {
    const { canvas, session } = this;
    /** @type {{x: number, position: number, isDrag: boolean} | null} */
    let pressed = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || session.position < 0) return;
      canvas.setPointerCapture(event.pointerId);
      pressed = { x: event.offsetX, position: this.#positionAt(event.offsetX), isDrag: false };
      event.preventDefault(); // no text is selected
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!pressed) return;
      if (Math.abs(event.offsetX - pressed.x) >= DRAG_PX) pressed.isDrag = true;
      if (pressed.isDrag) session.selectTime(pressed.position, this.#positionAt(event.offsetX));
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!pressed) return;
      onMove();
      const position = this.#positionAt(event.offsetX);
      if (pressed.isDrag) session.anchor = pressed.position;
      else if (event.shiftKey) {
        pressed = null;
        session.extendInTime(position);
        return;
      } else session.clearSelection();
      pressed = null;
      session.goInTime(position);
    });
    canvas.addEventListener("pointercancel", () => (pressed = null));
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault(); // the page does not scroll
        if (session.position >= 0) this.#zoom(event.deltaY > 0 ? ZOOM : 1 / ZOOM, event.offsetX);
      },
      { passive: false },
    );
  }

  /** Show the whole drive, or a part of it again; return whether they differ. */
  switchZoom() {
    const [first, end] = this.#drive(this.session.position);
    if (end - first <= SPAN && this.span >= end - first) return false;
    this.span = this.span >= end - first ? SPAN : end - first;
    this.sight = [0, 0];
    this.draw();
    return true;
  }

  /**
   * Show more or fewer pictures, keeping the one at x where it is.
   * @param {number} factor
   * @param {number} x
   */
  #zoom(factor, x) {
    const [first, end] = this.sight;
    const [driveFirst, driveEnd] = this.#drive(this.session.position);
    const span = Math.min(Math.max((end - first) * factor, MIN_SPAN), driveEnd - driveFirst);
    this.span = Math.round(span);
    const part = x / this.width;
    this.#show(Math.round(first + part * (end - first) - part * this.span));
    this.draw();
  }

  /**
   * Choose the part of the drive to show.
   * @param {number} position
   */
  #look(position) {
    const [first, end] = this.sight;
    const margin = (end - first) * MARGIN;
    const [driveFirst, driveEnd] = this.#drive(position);
    const isInside =
      position >= (first === driveFirst ? first : first + margin) &&
      position < (end === driveEnd ? end : end - margin);
    if (!isInside || first < driveFirst || end > driveEnd) {
      this.#show(Math.round(position - this.span / 2));
    }
  }

  /**
   * Show the drive of the picture shown from a position on.
   * @param {number} wanted
   */
  #show(wanted) {
    const [driveFirst, driveEnd] = this.#drive(this.session.position);
    const span = Math.min(this.span, driveEnd - driveFirst);
    const first = Math.min(Math.max(wanted, driveFirst), driveEnd - span);
    this.sight = [first, first + span];
  }

  /**
   * Return the first position of a drive, and the one after its last.
   * @param {number} position
   * @returns {[number, number]}
   */
  #drive(position) {
    const number = this.session.store.captures.drive.index[Math.max(position, 0)];
    return [this.drives[number], this.drives[number + 1]];
  }

  /** @param {number} x */
  #positionAt(x) {
    const [first, end] = this.sight;
    const position = first + Math.floor((x / this.width) * (end - first));
    return Math.min(Math.max(position, first), end - 1);
  }

  /** Return x of the middle of a picture. @param {number} position */
  #xOf(position) {
    const [first, end] = this.sight;
    return ((position - first + 0.5) / (end - first)) * this.width;
  }

  /** Return y of a steering; to the right is up. @param {number} steering */
  #yOf(steering) {
    const half = this.height / 2;
    return half - Math.min(Math.max(steering, -1), 1) * (half - PADDING_PX);
  }

  #readColours() {
    if (this.colours.ink) return;
    const style = getComputedStyle(this.canvas);
    for (const name of COLOURS) this.colours[name] = style.getPropertyValue(`--${name}`).trim();
  }

  /** @param {number} scale */
  #drawLayer(scale) {
    const { store, model } = this.session;
    this.steering ??= Float32Array.from(store.flags, (_, position) =>
      store.value(position, "direction"),
    );
    const context = this.layer.getContext("2d");
    if (!context) return;
    const { width, height } = this;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.fillStyle = this.colours.line;
    context.fillRect(0, Math.round(height / 2), width, 1);
    if (model.isReady) {
      context.strokeStyle = context.fillStyle = this.colours.model;
      context.lineWidth = 1;
      this.#strokeCurve(context, model.predicted);
    }
    context.strokeStyle = context.fillStyle = this.colours.accent;
    context.lineWidth = 2;
    this.#strokeCurve(context, this.steering);
    this.#drawMarks(context);
  }

  /**
   * Draw a curve, of which several pictures may share a pixel: then from the least to the most.
   * @param {CanvasRenderingContext2D} context
   * @param {Float32Array} values  by position; NaN for a gap
   */
  #strokeCurve(context, values) {
    const { flags } = this.session.store;
    const [first, end] = this.sight;
    const step = Math.max((end - first) / this.width, 1);
    context.beginPath();
    let isGap = true;
    for (let from = first; from < end; from += step) {
      let [least, most] = [Infinity, -Infinity];
      const start = Math.ceil(from);
      for (let position = start; position < Math.min(from + step, end); position += 1) {
        const value = values[position];
        if (value < least) least = value;
        if (value > most) most = value;
      }
      // Nothing connects two runs.
      if (flags[start] & Flag.RUN_START) isGap = true;
      if (least > most) {
        isGap = true;
        continue;
      }
      const x = this.#xOf(start);
      if (step > 1) {
        // Bars are drawn much faster than a line that goes up and down in each pixel.
        const [top, bottom] = [this.#yOf(most), this.#yOf(least)];
        context.fillRect(x, top, 1, Math.max(bottom - top, context.lineWidth));
        continue;
      }
      if (isGap) context.moveTo(x, this.#yOf(least));
      else context.lineTo(x, this.#yOf(least));
      isGap = false;
    }
    context.stroke();
  }

  /** Mark suspicious labels at the foot. @param {CanvasRenderingContext2D} context */
  #drawMarks(context) {
    const { suspicion, model } = this.session;
    if (!model.isReady) return;
    const [first, end] = this.sight;
    const { width, height } = this;
    const mark = Math.max(width / (end - first), 1.5);
    context.fillStyle = this.colours.bad;
    // One mark a pixel is enough.
    const step = Math.max(Math.floor((end - first) / width), 1);
    for (let from = first; from < end; from += step) {
      for (let position = from; position < Math.min(from + step, end); position += 1) {
        if (model.suspicious[position] === 0 || !suspicion.isSuspicious(position)) continue;
        context.fillRect(this.#xOf(position) - mark / 2, height - MARK_PX, mark, MARK_PX);
        break;
      }
    }
  }

  /** @param {CanvasRenderingContext2D} context */
  #drawSelection(context) {
    const { selected, selectedCount, rangeStart } = this.session;
    const { width, height } = this;
    const [first, end] = this.sight;
    context.fillStyle = this.colours["accent-soft"];
    if (rangeStart !== null) context.fillRect(this.#xOf(rangeStart) - 1, 0, 2, height);
    if (!selectedCount) return;
    const wide = width / (end - first);
    for (let position = first; position < end; position += 1) {
      if (!selected[position]) continue;
      const start = position;
      while (position + 1 < end && selected[position + 1]) position += 1;
      const x = this.#xOf(start) - wide / 2;
      context.fillRect(x, 0, Math.max((position - start + 1) * wide, 1), height);
    }
  }

  /** @param {CanvasRenderingContext2D} context */
  #drawPlace(context) {
    const { position, store } = this.session;
    const x = this.#xOf(position);
    context.fillStyle = this.colours.ink;
    context.fillRect(Math.round(x) - 0.5, 0, 1, this.height);
    const steering = store.value(position, "direction");
    if (Number.isNaN(steering)) return;
    context.beginPath();
    context.arc(x, this.#yOf(steering), 4, 0, 2 * Math.PI);
    context.fill();
  }
}

/**
 * Return where each drive starts, and the number of all pictures.
 * @param {Int32Array} drives  number of the drive of each picture, ascending
 */
function boundsOf(drives) {
  const starts = [];
  for (let position = 0; position < drives.length; position += 1) {
    if (position === 0 || drives[position] !== drives[position - 1]) starts.push(position);
  }
  return [...starts, drives.length];
}
