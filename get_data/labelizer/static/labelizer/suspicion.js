// Which labels look wrong: by the model, or until there is one by labels and pictures alone.

import { Flag } from "./store.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types").Findings} Findings */

const JUMP = 0.6; // of the steering from one picture to the next; lock to lock is 2
const WEIGHTS = { other: 3, flicker: 2, jump: 1.5, still: 1, dull: 1 };

/** What the pictures themselves show, as far as the server has examined them. */
export class PictureFindings {
  /** @param {number} count */
  constructor(count) {
    /** 1 where the car stands still. */
    this.still = new Uint8Array(count);
    /** 1 where the picture is dark or without detail. */
    this.dull = new Uint8Array(count);
    /** @type {Map<number, string>} faults by position */
    this.broken = new Map();
    /** How many pictures the server has examined. */
    this.examined = 0;
  }

  /**
   * Add the server's findings.
   * @param {Findings} found
   * @returns {boolean} whether there are any new ones
   */
  update(found) {
    if (found.looked_at === this.examined) return false;
    this.examined = found.looked_at;
    for (const [first, last] of found.still) this.still.fill(1, first, last + 1);
    for (const position of found.dull) this.dull[position] = 1;
    for (const [position, fault] of found.broken) this.broken.set(position, fault);
    return true;
  }
}

/** Suspicion of all labels, as they are now. */
export class Suspicion {
  /**
   * @param {Store} store
   * @param {PictureFindings} findings
   * @param {Model} model
   */
  constructor(store, findings, model) {
    this.store = store;
    this.findings = findings;
    this.model = model;
  }

  /**
   * Return whether a person has decided about a label, here or before: it is suspicious no more.
   * @param {number} position
   */
  isSettled(position) {
    const { store } = this;
    return store.isReviewed(position) || (store.flags[position] & Flag.PERSON) !== 0;
  }

  /**
   * Return whether a label is worth a look.
   * @param {number} position
   */
  isSuspicious(position) {
    if (this.model.isReady) {
      return this.model.suspicious[position] === 1 && !this.isSettled(position);
    }
    return this.score(position) > 0;
  }

  /**
   * Return how wrong a label looks; 0 for not at all.
   * @param {number} position
   */
  score(position) {
    if (this.model.isReady) return this.isSettled(position) ? 0 : this.model.score[position];
    return this.reasons(position).reduce((sum, reason) => sum + reason.weight, 0);
  }

  /** Return all positions, the most suspicious first; settled ones come last. */
  order() {
    const { count } = this.store;
    const positions = Int32Array.from({ length: count }, (_, position) => position);
    const scores = Float64Array.from(positions, (position) => this.score(position));
    if (!this.model.isReady) {
      return positions.sort((first, second) => scores[second] - scores[first] || first - second);
    }
    const ranks = new Int32Array(count).fill(count);
    this.model.order.forEach((position, rank) => {
      ranks[position] = this.isSettled(position) ? count + 1 : rank;
    });
    return positions.sort((first, second) => ranks[first] - ranks[second] || first - second);
  }

  /** Return how many labels look wrong to the model, and how many others are worth a look. */
  count() {
    const { model, store } = this;
    const found = { wrong: 0, doubtful: 0 };
    for (let position = 0; position < store.count; position += 1) {
      if (model.suspicious[position] === 0 || this.isSettled(position)) continue;
      if (model.wrong[position] === 1) found.wrong += 1;
      else found.doubtful += 1;
    }
    return found;
  }

  /**
   * Return why a label looks wrong without any model; nothing where it does not.
   * @param {number} position
   * @returns {{text: string, weight: number}[]}
   */
  reasons(position) {
    const { findings } = this;
    const found = this.isSettled(position) ? [] : this.#doubts(position);
    if (findings.still[position]) {
      found.push({ text: "the car stands still", weight: WEIGHTS.still });
    }
    if (findings.dull[position]) {
      found.push({ text: "dark or without detail", weight: WEIGHTS.dull });
    }
    return found;
  }

  /**
   * Return what contradicts a label.
   * @param {number} position
   * @returns {{text: string, weight: number}[]}
   */
  #doubts(position) {
    const { store } = this;
    if (store.isUnlabelled(position)) return [];
    const found = [];
    const direction = store.now.direction[position];
    const steering = store.raw.direction[position];
    const steered = store.otherClass(position, "direction");
    // A label whose steering was set, here or before, means what it says.
    const isMeant =
      Boolean(store.flags[position] & Flag.VALUED) || !Number.isNaN(store.now.steering[position]);
    if (!isMeant && steered >= 0 && direction >= 0) {
      const weight = WEIGHTS.other + Math.abs(steered - direction);
      found.push({ text: `steered ${steered}`, weight });
    }
    const before = neighbour(store, position, -1);
    const after = neighbour(store, position, 1);
    if (before >= 0 && after >= 0) {
      const around = store.now.direction[before];
      if (around >= 0 && around === store.now.direction[after] && around !== direction) {
        found.push({ text: "unlike its neighbours", weight: WEIGHTS.flicker });
      }
    }
    if (before >= 0 && Math.abs(steering - store.raw.direction[before]) > JUMP) {
      found.push({ text: "the steering jumps", weight: WEIGHTS.jump });
    }
    return found;
  }
}

/**
 * Return the picture before or after one in the same run of pictures, or -1.
 * @param {Store} store
 * @param {number} position
 * @param {1 | -1} step
 */
function neighbour(store, position, step) {
  const other = position + step;
  if (other < 0 || other >= store.count) return -1;
  const later = step === 1 ? other : position;
  return store.flags[later] & Flag.RUN_START ? -1 : other;
}
