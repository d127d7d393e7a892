// The label drawn on a small picture, as the contact sheet draws it: needle and fan on a canvas.

import { FULL_LOCK } from "./format.js";

/** @typedef {import("./session.js").Session} Session */

// Shares of the height of the canvas
const FOOT = 0.95;
const NEEDLE = 0.34;
const FAN = 0.4;
const COLOURS = {
  edge: "rgb(20 16 10 / 75%)",
  label: "#ffc83c",
  fan: "rgb(255 190 70 / 32%)",
  model: "#7fe0ff",
};

/**
 * Draw what the label of a picture says, and what the model expects where that is suspicious.
 * @param {HTMLCanvasElement} canvas  its `data-needles` tells what is on it
 * @param {Session} session
 * @param {number} position
 */
export function drawNeedles(canvas, { store, model, suspicion }, position) {
  const steering = store.value(position, "direction");
  const direction = store.now.direction[position];
  const classes = store.classes(position, "direction");
  const expected = suspicion.isSuspicious(position) ? model.predicted[position] : NaN;
  const drawn = `${steering} ${direction} ${classes} ${expected} ${canvas.width}`;
  if (canvas.dataset.needles === drawn) return;
  canvas.dataset.needles = drawn;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.lineCap = "round";
  if (direction >= 0) drawFan(context, direction, classes);
  const width = canvas.height / 40;
  if (!Number.isNaN(steering)) {
    drawNeedle(context, steering, COLOURS.edge, 2 * width);
    drawNeedle(context, steering, COLOURS.label, width);
  }
  if (!Number.isNaN(expected)) {
    drawNeedle(context, expected, COLOURS.edge, 1.3 * width);
    drawNeedle(context, expected, COLOURS.model, 0.5 * width);
    drawRing(context, expected, width);
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} direction @param {number} classes */
function drawFan(context, direction, classes) {
  const { width, height } = context.canvas;
  // A canvas counts angles from the right.
  const [from, to] = [direction, direction + 1].map(
    (edge) => ((2 * edge) / classes - 1) * FULL_LOCK - Math.PI / 2,
  );
  context.beginPath();
  context.moveTo(width / 2, height * FOOT);
  context.arc(width / 2, height * FOOT, height * FAN, from, to);
  context.fillStyle = COLOURS.fan;
  context.fill();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} steering
 * @param {string} colour
 * @param {number} width
 */
function drawNeedle(context, steering, colour, width) {
  context.beginPath();
  context.moveTo(context.canvas.width / 2, context.canvas.height * FOOT);
  context.lineTo(...tipOf(context, steering));
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {number} steering @param {number} width */
function drawRing(context, steering, width) {
  context.beginPath();
  context.arc(...tipOf(context, steering), 1.2 * width, 0, 2 * Math.PI);
  context.strokeStyle = COLOURS.model;
  context.lineWidth = 0.6 * width;
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} steering
 * @returns {[x: number, y: number]}
 */
function tipOf({ canvas: { width, height } }, steering) {
  const angle = steering * FULL_LOCK;
  const length = height * NEEDLE;
  return [width / 2 + length * Math.sin(angle), height * FOOT - length * Math.cos(angle)];
}
