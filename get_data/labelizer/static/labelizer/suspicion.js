// Which labels look wrong, told from labels and pictures alone.

import { Flag } from "./store.js";

/** @typedef {import("./store.js").Store} Store */

const JUMP = 0.6; // of the steering from one picture to the next, of 2 from lock to lock
const WEIGHTS = { other: 3, flicker: 2, jump: 1.5, still: 1, dull: 1 };

/**
 * What the server found in the pictures.
 * @typedef {object} Findings
 * @property {number} looked_at
 * @property {[number, string][]} broken
 * @property {number[]} dull
 * @property {[number, number][]} still
 */

/** Remembers, for each picture, what the pictures themselves show. */
export class Looks {
  /** @param {number} count */
  constructor(count) {
    this.still = new Uint8Array(count);
    this.dull = new Uint8Array(count);
    /** @type {Map<number, string>} */
    this.broken = new Map();
    this.lookedAt = 0;
  }

  /** @param {Findings} findings @returns {boolean} whether more was looked at than is known here */
  take(findings) {
    if (findings.looked_at === this.lookedAt) return false;
    this.lookedAt = findings.looked_at;
    for (const [first, last] of findings.still) this.still.fill(1, first, last + 1);
    for (const position of findings.dull) this.dull[position] = 1;
    for (const [position, fault] of findings.broken) this.broken.set(position, fault);
    return true;
  }
}

/**
 * Why the label of a picture looks wrong; empty when it does not.
 * @param {Store} store @param {Looks} looks @param {number} position
 * @returns {{why: string, weight: number}[]}
 */
export function reasons(store, looks, position) {
  const found = [];
  const direction = store.now.direction[position];
  const steering = store.steering[position];
  const told = binOf(steering, store.classes(position, "direction"));
  if (told >= 0 && direction >= 0 && told !== direction) {
    found.push({ why: `steered ${told}`, weight: WEIGHTS.other + Math.abs(told - direction) });
  }
  const before = neighbour(store, position, -1);
  const after = neighbour(store, position, 1);
  if (before >= 0 && after >= 0) {
    const around = store.now.direction[before];
    if (around === store.now.direction[after] && around !== direction) {
      found.push({ why: "unlike its neighbours", weight: WEIGHTS.flicker });
    }
  }
  if (before >= 0 && Math.abs(steering - store.steering[before]) > JUMP) {
    found.push({ why: "the steering jumps", weight: WEIGHTS.jump });
  }
  if (looks.still[position]) found.push({ why: "the car stands still", weight: WEIGHTS.still });
  if (looks.dull[position]) found.push({ why: "dark or without detail", weight: WEIGHTS.dull });
  return found;
}

/** @param {Store} store @param {Looks} looks @param {number} position */
export function score(store, looks, position) {
  return reasons(store, looks, position).reduce((sum, reason) => sum + reason.weight, 0);
}

/** @param {number} share -1 .. 1, or NaN @param {number} count */
function binOf(share, count) {
  if (Number.isNaN(share)) return -1;
  return Math.min(Math.max(Math.trunc(((share + 1) / 2) * count), 0), count - 1);
}

/** @param {Store} store @param {number} position @param {1 | -1} step the next of the same run, or -1 */
function neighbour(store, position, step) {
  const other = position + step;
  if (other < 0 || other >= store.count) return -1;
  const later = step === 1 ? other : position;
  return store.flags[later] & Flag.RUN_START ? -1 : other;
}
