// The stretch of wrong labels around a picture, and the line that takes its place.

import { Flag } from "./store.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types").Run} Run */

const REACH = 15; // pictures on each side, within which a stretch begins and ends
const JUMP = 0.3; // of the steering, at the ends of a stretch
const LENGTH_COST = 0.02; // steering for each picture: of two stretches the shorter

/**
 * Return the stretch that looks wrong around a picture; undefined where there is none.
 *
 * Wrong labels begin with a jump of the steering and end with one back; where the steering does not
 * jump, the model tells.
 * @param {Store} store
 * @param {Model} model
 * @param {number} position
 * @returns {Run | undefined}
 */
export function stretchAround(store, model, position) {
  const found = betweenJumps(store, position);
  return found && found[1] > found[0] ? found : model.clipAt(position);
}

/**
 * Return the pictures between two jumps that best cancel each other.
 * @param {Store} store
 * @param {number} position
 * @returns {Run | undefined}
 */
function betweenJumps(store, position) {
  /** @type {Run | undefined} */
  let best;
  let least = Infinity;
  const ends = lastPictures(store, position);
  for (let first = position; first > position - REACH && hasBefore(store, first); first -= 1) {
    const jump = jumpTo(store, first);
    if (Math.abs(jump) < JUMP) continue;
    for (const last of ends) {
      const back = jumpTo(store, last + 1);
      const left = Math.abs(jump + back); // after both
      const cost = left + LENGTH_COST * (last - first);
      const areOpposite = left < Math.min(Math.abs(jump), Math.abs(back));
      if (areOpposite && cost < least) {
        least = cost;
        best = [first, last];
      }
    }
  }
  return best;
}

/**
 * Return the pictures from a position on after which the steering jumps.
 * @param {Store} store
 * @param {number} position
 */
function lastPictures(store, position) {
  const found = [];
  for (let next = position + 1; next <= position + REACH && hasBefore(store, next); next += 1) {
    if (Math.abs(jumpTo(store, next)) >= JUMP) found.push(next - 1);
  }
  return found;
}

/** Return by how much the steering changes up to a picture. @param {Store} store @param {number} position */
function jumpTo(store, position) {
  return store.value(position, "direction") - store.value(position - 1, "direction");
}

/** Return whether a picture of the same run comes before. @param {Store} store @param {number} position */
function hasBefore(store, position) {
  return position > 0 && position < store.count && !(store.flags[position] & Flag.RUN_START);
}

/**
 * Return a value for each position on the line from the picture before them to the one after them.
 *
 * Where there is none, in the same run, the line is level.
 * @param {Store} store
 * @param {Int32Array} positions  ascending
 * @param {import("./types").ClassName} attribute
 */
export function lineThrough(store, positions, attribute) {
  const [first, last] = [positions[0], positions[positions.length - 1]];
  const before = hasBefore(store, first) ? store.value(first - 1, attribute) : NaN;
  const after = hasBefore(store, last + 1) ? store.value(last + 1, attribute) : NaN;
  const from = Number.isNaN(before) ? after : before;
  const to = Number.isNaN(after) ? before : after;
  return (/** @type {number} */ position) =>
    from + ((to - from) * (position - first + 1)) / (last - first + 2);
}
