// Labels of another person for the same pictures: agreement, differences, and taking them over.

import { STATES } from "./filters.js";
import { CLASS_NAMES } from "./store.js";
import { classOf, valueIn } from "./values.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types").ClassName} ClassName */
/** @typedef {import("./types").ComparisonReply} ComparisonReply */

/**
 * How far two people agree about an attribute.
 * @typedef {object} Agreement
 * @property {number} compared  pictures that both have labelled
 * @property {number} same      of them those with the same class
 * @property {number} kappa     Cohen's: 1 for the same, 0 for what chance would give; NaN if unknown
 * @property {Int32Array[]} table  pictures by the class here, then by the class there
 */

export class Comparison {
  /**
   * @param {Store} store
   * @param {ComparisonReply} reply
   */
  constructor(store, reply) {
    this.store = store;
    this.name = reply.name;
    this.reply = reply;
    this.classes = {
      direction: Int8Array.from(reply.direction),
      speed: Int8Array.from(reply.speed),
    };
    this.values = {
      direction: Float64Array.from(reply.steering),
      speed: Float64Array.from(reply.throttle),
    };
    this.deleted = Uint8Array.from(reply.deleted);
    /** As the labels are when the page opens: what is taken over later is no agreement. */
    this.agreement = {
      direction: this.#agreement("direction"),
      speed: this.#agreement("speed"),
    };
    STATES.differs = {
      name: `differs from ${this.name}`,
      matches: (_, position) => this.differs(position),
    };
  }

  /**
   * Return whether the other person has a label that can be compared.
   * @param {number} position
   */
  hasLabel(position) {
    return this.classes.direction[position] >= 0;
  }

  /**
   * Return whether both labels say something else as they are now: class, or deletion.
   * @param {number} position
   */
  differs(position) {
    if (!this.hasLabel(position)) return false;
    const { now } = this.store;
    if (this.store.isNew(position) && this.deleted[position]) return false;
    if (now.deleted[position] || this.deleted[position]) {
      return now.deleted[position] !== this.deleted[position];
    }
    return CLASS_NAMES.some((name) => now[name][position] !== this.classes[name][position]);
  }

  /** Return how many labels differ now. */
  count() {
    let differing = 0;
    for (let position = 0; position < this.store.count; position += 1) {
      if (this.differs(position)) differing += 1;
    }
    return differing;
  }

  /**
   * Take the other person's labels over; return null when that changes nothing.
   * @param {Int32Array} positions  ascending
   */
  take(positions) {
    const { store } = this;
    const differing = positions.filter((position) => this.differs(position));
    const deleted = Int8Array.from(differing, (position) => this.deleted[position]);
    // Of a label that is to be deleted, nothing else counts: it stays what it is.
    const classesOf = (/** @type {ClassName} */ name) =>
      Int8Array.from(differing, (position, index) =>
        deleted[index] ? store.now[name][position] : this.classes[name][position],
      );
    const classes = { direction: classesOf("direction"), speed: classesOf("speed") };
    const valuesOf = (/** @type {ClassName} */ name) =>
      Float64Array.from(differing, (position, index) =>
        deleted[index]
          ? store.value(position, name)
          : this.#fitting(position, name, classes[name][index]),
      );
    const values = { direction: valuesOf("direction"), speed: valuesOf("speed") };
    return store.setLabels(differing, classes, values, deleted, `label of ${this.name}`);
  }

  /**
   * Return the other person's value, or what goes with the class if that is in another one here.
   * @param {number} position
   * @param {ClassName} name
   * @param {number} number  the class
   */
  #fitting(position, name, number) {
    const { store } = this;
    const bins = store.bins(position, name);
    const value = this.values[name][position];
    const isJudged = name === "direction" || store.tellsSpan[position] === 1;
    if (!isJudged || classOf(bins, value) === number) return value;
    return valueIn(bins, number, store.raw[name][position]);
  }

  /** @param {ClassName} name @returns {Agreement} */
  #agreement(name) {
    const { store } = this;
    const size = store.mostClasses(name);
    const table = Array.from({ length: size }, () => new Int32Array(size));
    for (let position = 0; position < store.count; position += 1) {
      const here = store.now[name][position];
      const isCompared = this.hasLabel(position) && here >= 0 && store.hasBothClasses(position);
      if (!isCompared || store.now.deleted[position] || this.deleted[position]) continue;
      table[here][this.classes[name][position]] += 1;
    }
    return { table, ...summary(table) };
  }
}

/** @param {Int32Array[]} table */
function summary(table) {
  const sum = (/** @type {Iterable<number>} */ numbers) =>
    [...numbers].reduce((total, each) => total + each, 0);
  const compared = sum(table.map(sum));
  const same = sum(table.map((row, value) => row[value]));
  const byChance = sum(
    table.map((row, value) => (sum(row) * sum(table.map((other) => other[value]))) / compared),
  );
  return { compared, same, kappa: (same - byChance) / (compared - byChance) };
}
