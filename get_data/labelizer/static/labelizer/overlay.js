// The drawing over the picture: the label's steering as a needle to drag, its throttle as a bar.

import { byId } from "./dom.js";
import { FULL_LOCK } from "./format.js";
import { classOf } from "./values.js";

// Foot and length of the needle, in units of the overlay
const FOOT = { x: 50, y: 72 };
const NEEDLE = 34;
const STEP = 0.001; // of a steering that is dragged

/** @typedef {import("./session.js").Session} Session */

export class Overlay {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    /** @type {{position: number, from: number, before: number, steering: number} | null} */
    this.drag = null;
  }

  /**
   * Draw the steering as a needle, the direction as a wedge, and the throttle as a bar; faint, what
   * the driver steered where that differs; thin, with a ring, what the model expects.
   * @param {number} position
   */
  draw(position) {
    const { store, model } = this.session;
    if (this.drag?.position !== position) this.drag = null;
    const steering = this.drag?.steering ?? store.value(position, "direction");
    const driven = store.raw.direction[position];
    const needle = needlePath(steering);
    for (const id of ["needle", "needle-edge", "needle-grip"]) setPath(id, needle);
    setPath("driven", Math.abs(driven - steering) < STEP ? "" : needlePath(driven));
    const expected = model.predicted[position];
    for (const id of ["model-edge", "model-needle"]) setPath(id, modelPath(expected));
    const bins = store.bins(position, "direction");
    const direction = this.drag ? classOf(bins, steering) : store.now.direction[position];
    setPath("wedge", direction < 0 ? "" : wedgePath(direction, bins.count));
    const throttle = store.value(position, "speed");
    setPath("throttle-frame", Number.isNaN(throttle) ? "" : "M94 40H97V72H94Z");
    const top = 72 - 32 * Math.min(Math.max(throttle, 0), 1);
    setPath("throttle-bar", Number.isNaN(throttle) ? "" : `M94 72V${top.toFixed(1)}H97V72Z`);
  }

  /**
   * Let the needle be dragged.
   * @param {(steering: number) => void} onSteered  called when it is released elsewhere, -1 .. 1
   */
  listen(onSteered) {
    const grip = byId("needle-grip");
    grip.addEventListener("pointerdown", (event) => {
      const { session } = this;
      if (event.button !== 0 || session.readOnly) return;
      grip.setPointerCapture(event.pointerId);
      const before = session.store.value(session.position, "direction");
      const from = steeringAt(event);
      this.drag = { position: session.position, from, before, steering: before };
      event.preventDefault(); // nothing is selected
    });
    grip.addEventListener("pointermove", (event) => {
      if (!this.drag) return;
      const steering = this.drag.before + steeringAt(event) - this.drag.from;
      this.drag.steering = Math.min(Math.max(Math.round(steering / STEP) * STEP, -1), 1);
      this.draw(this.drag.position);
    });
    grip.addEventListener("pointerup", () => {
      const { drag } = this;
      this.drag = null;
      if (drag && drag.steering !== drag.before) onSteered(drag.steering);
    });
    grip.addEventListener("pointercancel", () => {
      this.drag = null;
      this.draw(this.session.position);
    });
  }
}

/** @param {string} id @param {string} path */
function setPath(id, path) {
  byId(id).setAttribute("d", path);
}

/** @param {number} steering  -1 .. 1, or NaN */
export function needlePath(steering) {
  return Number.isNaN(steering) ? "" : `M${FOOT.x} ${FOOT.y}L${pointAt(steering, NEEDLE)}`;
}

/** @param {number} steering  -1 .. 1, or NaN */
function modelPath(steering) {
  if (Number.isNaN(steering)) return "";
  // The ring is round in pixels only where the picture is 4 to 3.
  const ring = "m-1.2 0a1.2 1.2 0 1 0 2.4 0a1.2 1.2 0 1 0 -2.4 0";
  return `M${FOOT.x} ${FOOT.y}L${pointAt(steering, NEEDLE - 1.2)}M${pointAt(steering, NEEDLE)}${ring}`;
}

/**
 * @param {number} direction
 * @param {number} classes  how many there are
 */
function wedgePath(direction, classes) {
  const [from, to] = [(2 * direction) / classes - 1, (2 * (direction + 1)) / classes - 1];
  const steps = [0, 0.25, 0.5, 0.75, 1].map(
    (part) => `L${pointAt(from + (to - from) * part, NEEDLE + 4)}`,
  );
  return `M${FOOT.x} ${FOOT.y}${steps.join("")}Z`;
}

/** @param {number} steering @param {number} length */
function pointAt(steering, length) {
  const angle = steering * FULL_LOCK;
  const [x, y] = [FOOT.x + length * Math.sin(angle), FOOT.y - length * Math.cos(angle)];
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

/**
 * Return the steering of a needle that points to where the mouse or the finger is.
 * @param {PointerEvent} event
 */
function steeringAt(event) {
  const grip = /** @type {SVGGraphicsElement} */ (event.target);
  const toOverlay = grip.getScreenCTM()?.inverse();
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(toOverlay);
  return Math.atan2(x - FOOT.x, FOOT.y - y) / FULL_LOCK;
}
