// The labels as columns, and every change to them. Knows nothing of the page or of the server.

import { positionsOf, rangesOf, runsOf, valuesOf } from "./runs.js";

/** What catalogue.py calls the same. */
export const Flag = {
  MISSING: 1,
  BROKEN: 2,
  INVALID: 4,
  HOPELESS: 8,
  PERSON: 16,
  MARKED: 32,
  RUN_START: 64,
};

/** @typedef {"direction" | "speed"} ClassName what of a label has classes */
/** @typedef {ClassName | "reviewed" | "deleted"} Attribute */
/** @type {readonly Attribute[]} */
const ATTRIBUTES = ["direction", "speed", "reviewed", "deleted"];

/**
 * One step that can be undone; see operations.py.
 * @typedef {object} Operation
 * @property {string} uid
 * @property {string} kind
 * @property {string} text
 * @property {string} [of]
 * @property {number} [by]  of a shift: so many pictures later
 * @property {[number, number][]} positions
 * @property {Record<string, [number, number][]>} set
 * @property {Record<string, [number, number][]>} was
 */

/** @typedef {Record<Attribute, Int8Array>} Columns */

export class Store extends EventTarget {
  /**
   * @param {any} entries  what the server says of the label file
   * @param {any} state    what it says was done
   */
  constructor(entries, state) {
    super();
    this.count = entries.ids.length;
    /** @type {string[]} */
    this.ids = entries.ids;
    this.steering = Float32Array.from(entries.steering, (value) => value ?? NaN);
    this.throttle = Float32Array.from(entries.throttle, (value) => value ?? NaN);
    this.group = Int16Array.from(entries.group);
    /** @type {{nb_dir: number, nb_speed: number}[]} */
    this.groups = entries.groups;
    this.flags = Uint8Array.from(entries.flags);
    const marked = Int8Array.from(entries.flags, (flags) => (flags & Flag.MARKED ? 1 : 0));
    /** @type {Columns} as the file has them */
    this.old = {
      direction: Int8Array.from(entries.direction),
      speed: Int8Array.from(entries.speed),
      reviewed: new Int8Array(this.count),
      deleted: marked,
    };
    /** @type {Columns} as they are now */
    this.now = {
      direction: this.old.direction.slice(),
      speed: this.old.speed.slice(),
      reviewed: this.old.reviewed.slice(),
      deleted: this.old.deleted.slice(),
    };
    this.counts = {
      before: { direction: new Int32Array(10), speed: new Int32Array(10) },
      now: { direction: new Int32Array(10), speed: new Int32Array(10) },
      reviewed: 0,
      edited: 0,
      deleted: 0,
    };
    /** @type {Operation[]} */
    this.done = [];
    /** @type {Operation[]} */
    this.undone = [];
    state.positions.forEach((/** @type {number} */ position, /** @type {number} */ index) => {
      for (const attribute of ATTRIBUTES) this.now[attribute][position] = state[attribute][index];
    });
    for (let position = 0; position < this.count; position += 1) {
      for (const attribute of /** @type {const} */ (["direction", "speed"])) {
        const value = this.old[attribute][position];
        if (value >= 0) this.counts.before[attribute][value] += 1;
      }
      this.#tally(position, 1);
    }
    for (const operation of state.history) this.#remember(operation);
  }

  /** @param {number} position */
  isReviewed(position) {
    return Boolean(this.now.reviewed[position] || this.now.deleted[position]);
  }

  /** @param {number} position */
  isEdited(position) {
    return (
      this.now.direction[position] !== this.old.direction[position] ||
      this.now.speed[position] !== this.old.speed[position]
    );
  }

  /** @param {number} position whether the export will differ from the source here */
  isTouched(position) {
    return (
      this.isEdited(position) ||
      Boolean(this.now.reviewed[position]) ||
      this.now.deleted[position] !== this.old.deleted[position]
    );
  }

  /** @param {number} position whether no valid label comes of it as things are; see export.py */
  isInvalid(position) {
    const { flags, now } = this;
    if (!(flags[position] & Flag.INVALID)) return false;
    const isWhole = now.direction[position] >= 0 && now.speed[position] >= 0;
    const isMended = isWhole && (now.reviewed[position] === 1 || this.isEdited(position));
    return !isMended || Boolean(flags[position] & Flag.HOPELESS);
  }

  /** @param {number} position @param {ClassName} attribute */
  classes(position, attribute) {
    return classesOf(this.groups[this.group[position]], attribute);
  }

  /** The most classes of any group. @param {ClassName} attribute */
  mostClasses(attribute) {
    return Math.max(...this.groups.map((group) => classesOf(group, attribute)));
  }

  /**
   * Those of the positions that have the same classes as the one given.
   * @param {Int32Array} positions @param {number} like
   */
  ofGroup(positions, like) {
    return positions.filter((position) => this.group[position] === this.group[like]);
  }

  /**
   * Sets a class; null when that changes nothing.
   * @param {Int32Array} positions ascending @param {ClassName} attribute
   * @param {number} value @param {string} [how]
   */
  label(positions, attribute, value, how = "") {
    return this.#do("label", `${how}${attribute} ${value}`, positions, {
      [attribute]: value,
      reviewed: 1,
    });
  }

  /** @param {Int32Array} positions ascending; unknown labels cannot be confirmed */
  confirm(positions) {
    const known = positions.filter(
      (position) => this.now.direction[position] >= 0 && this.now.speed[position] >= 0,
    );
    return this.#do("confirm", "confirmed", known, { reviewed: 1 });
  }

  /** Marks all to delete, or, when all are marked, none. @param {Int32Array} positions ascending */
  toggleDeleted(positions) {
    const all = positions.every((position) => this.now.deleted[position] === 1);
    return this.#do("delete", all ? "kept" : "marked to delete", positions, {
      deleted: all ? 0 : 1,
    });
  }

  /** Takes classes that stand as texts in the file for what they say. @param {{position: number, direction: number, speed: number}[]} fixes */
  fix(fixes) {
    const positions = Int32Array.from(fixes, (fix) => fix.position);
    return this.#do("fix", "texts read as numbers", positions, {
      direction: Int8Array.from(fixes, (fix) => fix.direction),
      speed: Int8Array.from(fixes, (fix) => fix.speed),
      reviewed: 1,
    });
  }

  /**
   * Moves the labels of these pictures by so many pictures: to later ones, or if below 0, earlier.
   *
   * Pictures that get no label from another of these, of the same run and classes, are marked to
   * delete. Shifts of the same pictures one after the other add up, so that one to and fro is none.
   * @param {Int32Array} positions ascending @param {number} by
   * @returns {Operation | null}
   */
  shift(positions, by) {
    const ranges = JSON.stringify(rangesOf(positions));
    let total = by;
    let before = this.#valuesNow(positions);
    for (let index = this.done.length - 1; index >= 0; index -= 1) {
      const step = this.done[index];
      if (step.kind !== "shift" || JSON.stringify(step.positions) !== ranges) break;
      total += step.by ?? 0;
      before = this.#valuesBefore(step);
    }
    const runOf = this.#runs(positions);
    const indexOf = new Map(Array.from(positions, (position, index) => [position, index]));
    const direction = before.direction.slice();
    const speed = before.speed.slice();
    const deleted = before.deleted.slice();
    for (let index = 0; index < positions.length; index += 1) {
      const from = indexOf.get(positions[index] - total);
      if (
        from !== undefined &&
        runOf[from] === runOf[index] &&
        this.group[positions[from]] === this.group[positions[index]]
      ) {
        direction[index] = before.direction[from];
        speed[index] = before.speed[from];
      } else {
        deleted[index] = 1;
      }
    }
    const text = `labels moved ${Math.abs(by)} ${by < 0 ? "earlier" : "later"}`;
    return this.#do("shift", text, positions, { direction, speed, deleted }, by);
  }

  /** @param {Int32Array} positions of which run of pictures each is */
  #runs(positions) {
    const runs = new Int32Array(positions.length);
    let run = 0;
    let index = 0;
    for (let position = 0; position < this.count && index < positions.length; position += 1) {
      if (this.flags[position] & Flag.RUN_START) run += 1;
      if (position === positions[index]) runs[index++] = run;
    }
    return runs;
  }

  /** @param {Int32Array} positions */
  #valuesNow(positions) {
    const take = (/** @type {Attribute} */ attribute) =>
      Int8Array.from(positions, (position) => this.now[attribute][position]);
    return { direction: take("direction"), speed: take("speed"), deleted: take("deleted") };
  }

  /** @param {Operation} step a shift: what its pictures were before it */
  #valuesBefore(step) {
    const count = positionsOf(step.positions).length;
    return {
      direction: valuesOf(step.was.direction, count),
      speed: valuesOf(step.was.speed, count),
      deleted: valuesOf(step.was.deleted, count),
    };
  }

  /** @returns {Operation | null} the step that was undone as a new one */
  undo() {
    const step = this.done.at(-1);
    return step ? this.#perform(inverse(step, "undo")) : null;
  }

  /** @returns {Operation | null} */
  redo() {
    const step = this.undone.at(-1);
    return step ? this.#perform({ ...step, uid: newUid(), kind: "redo", of: step.uid }) : null;
  }

  /** What was made elsewhere, by a tab that was killed say. @param {Operation} operation */
  take(operation) {
    this.#perform(operation);
  }

  /**
   * @param {string} kind @param {string} text @param {Int32Array} positions
   * @param {Partial<Record<Attribute, number | Int8Array>>} values
   * @param {number} [by] of a shift, which is kept whole, also where nothing changes
   * @returns {Operation | null}
   */
  #do(kind, text, positions, values, by = 0) {
    const attributes = /** @type {Attribute[]} */ (Object.keys(values));
    const wanted = (/** @type {Attribute} */ attribute, /** @type {number} */ index) => {
      const value = /** @type {number | Int8Array} */ (values[attribute]);
      return typeof value === "number" ? value : value[index];
    };
    const changes = Array.from(positions, (position, index) =>
      attributes.some((attribute) => this.now[attribute][position] !== wanted(attribute, index)),
    );
    if (!changes.includes(true)) return null;
    const kept = Array.from(positions.keys()).filter((index) => by || changes[index]);
    const changed = Int32Array.from(kept, (index) => positions[index]);
    /** @type {Operation} */
    const operation = { uid: newUid(), kind, text, positions: rangesOf(changed), set: {}, was: {} };
    if (by) operation.by = by;
    for (const attribute of attributes) {
      operation.set[attribute] = runsOf(kept.map((index) => wanted(attribute, index)));
      operation.was[attribute] = runsOf(changed.map((position) => this.now[attribute][position]));
    }
    return this.#perform(operation);
  }

  /** @param {Operation} operation */
  #perform(operation) {
    const positions = positionsOf(operation.positions);
    for (const position of positions) this.#tally(position, -1);
    for (const [attribute, runs] of Object.entries(operation.set)) {
      const values = valuesOf(runs, positions.length);
      const column = this.now[/** @type {Attribute} */ (attribute)];
      positions.forEach((position, index) => {
        column[position] = values[index];
      });
    }
    for (const position of positions) this.#tally(position, 1);
    this.#remember(operation);
    this.dispatchEvent(new CustomEvent("change", { detail: { operation, positions } }));
    return operation;
  }

  /** @param {Operation} operation */
  #remember(operation) {
    if (operation.kind === "undo") {
      const step = taken(this.done, operation.of);
      if (step) this.undone.push(step);
    } else if (operation.kind === "redo") {
      this.done.push(taken(this.undone, operation.of) ?? operation);
    } else {
      this.done.push(operation);
      this.undone = [];
    }
  }

  /** @param {number} position @param {1 | -1} sign */
  #tally(position, sign) {
    const { now, counts } = this;
    if (this.isReviewed(position)) counts.reviewed += sign;
    if (now.deleted[position]) {
      counts.deleted += sign;
      return;
    }
    if (this.isEdited(position)) counts.edited += sign;
    if (now.direction[position] >= 0) counts.now.direction[now.direction[position]] += sign;
    if (now.speed[position] >= 0) counts.now.speed[now.speed[position]] += sign;
  }
}

/** @param {{nb_dir: number, nb_speed: number}} group @param {ClassName} attribute */
function classesOf(group, attribute) {
  return attribute === "direction" ? group.nb_dir : group.nb_speed;
}

/** @param {Operation} step @param {string} kind @returns {Operation} */
function inverse(step, kind) {
  return { ...step, uid: newUid(), kind, of: step.uid, set: step.was, was: step.set };
}

/**
 * The step of this name, which need not be the last: another tab may have gone on meanwhile.
 * @param {Operation[]} steps it is gone from them @param {string | undefined} uid
 */
function taken(steps, uid) {
  const index = steps.findLastIndex((step) => step.uid === uid);
  return index < 0 ? undefined : steps.splice(index, 1)[0];
}

function newUid() {
  return crypto.randomUUID();
}
