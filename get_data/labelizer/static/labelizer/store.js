// The labels as columns, and every change to them. Knows nothing of the page or of the server.

import { positionsOf, rangesOf, runsOf, valuesOf } from "./runs.js";
import { classOf, valueIn } from "./values.js";

/** @typedef {import("./types").Attribute} Attribute */
/** @typedef {import("./types").ClassName} ClassName */
/** @typedef {import("./types").Entries} Entries */
/** @typedef {import("./types").Fix} Fix */
/** @typedef {import("./types").Group} Group */
/** @typedef {import("./types").Names} Names */
/** @typedef {import("./types").Operation} Operation */
/** @typedef {import("./types").ValueName} ValueName */
/** @typedef {import("./types").WorkState} WorkState */
/** @typedef {import("./values.js").Bins} Bins */

/** Bits of an entry's flags; the same as in catalogue.py. */
export const Flag = {
  MISSING: 1,
  BROKEN: 2,
  INVALID: 4,
  HOPELESS: 8,
  PERSON: 16,
  MARKED: 32,
  RUN_START: 64,
  VALUED: 128,
  UNLABELLED: 256,
  NOBODY: 512,
};

/** @type {readonly ClassName[]} */
export const CLASS_NAMES = ["direction", "speed"];
/** @type {readonly Attribute[]} */
const ATTRIBUTES = [...CLASS_NAMES, "reviewed", "deleted", "steering", "throttle"];
/** @type {Readonly<Record<ClassName, ValueName>>} */
export const VALUE_OF = { direction: "steering", speed: "throttle" };
export const MAX_CLASS_KEYS = 10;

/** @typedef {Record<Exclude<Attribute, ValueName>, Int8Array> & Record<ValueName, Float64Array>} Columns */
/** @typedef {Partial<Record<Attribute, number | Int8Array | Float64Array>>} Changes */

/** All labels, and the steps that changed them. Dispatches `change`. */
export class Store extends EventTarget {
  /** Positions that the last step changed. */
  changed = new Int32Array(0);

  /** @type {import("./comparison.js").Comparison | null} labels of another person */
  comparison = null;

  /**
   * @param {Entries} entries
   * @param {WorkState} state
   */
  constructor(entries, state) {
    super();
    this.count = entries.ids.length;
    this.ids = entries.ids;
    /** What the driver did, by the class that was made of it; NaN where that is unknown. */
    this.raw = {
      direction: Float64Array.from(entries.raw_direction, (value) => value ?? NaN),
      speed: Float64Array.from(entries.raw_speed, (value) => value ?? NaN),
    };
    /** What should be done, as the label file has it. */
    this.inFile = {
      steering: entries.steering.map((value, position) => value ?? this.raw.direction[position]),
      throttle: entries.throttle.map((value, position) => value ?? this.raw.speed[position]),
    };
    this.spans = valuesOf(entries.spans, this.count);
    this.tellsSpan = valuesOf(entries.tells_span, this.count);
    /** Drive, driver and day of each picture, as an index into their names. */
    this.captures = capturesOf(entries);
    this.group = Int16Array.from(entries.group);
    this.groups = entries.groups;
    this.flags = Uint16Array.from(entries.flags);
    /** @type {Columns} labels as the file has them */
    this.old = {
      direction: Int8Array.from(entries.direction),
      speed: Int8Array.from(entries.speed),
      reviewed: new Int8Array(this.count),
      deleted: Int8Array.from(entries.flags, (flags) => (flags & Flag.MARKED ? 1 : 0)),
      steering: new Float64Array(this.count).fill(NaN),
      throttle: new Float64Array(this.count).fill(NaN),
    };
    /** 1 for what an earlier round has decided and the label file has. */
    this.settled = new Uint8Array(this.count);
    for (const position of state.settled) this.settled[position] = 1;
    /** @type {Columns} labels as they are now; a value that is not set is NaN, see `value` */
    this.now = {
      direction: this.old.direction.slice(),
      speed: this.old.speed.slice(),
      reviewed: this.old.reviewed.slice(),
      deleted: this.old.deleted.slice(),
      steering: this.old.steering.slice(),
      throttle: this.old.throttle.slice(),
    };
    this.counts = {
      before: noneOfEachClass(),
      now: noneOfEachClass(),
      reviewed: 0,
      edited: 0,
      created: 0,
      deleted: 0,
    };
    /** @type {Operation[]} steps that can be undone */
    this.done = [];
    /** @type {Operation[]} steps that can be redone */
    this.undone = [];
    // The server sends edited entries only; all others are as in the file.
    state.positions.forEach((position, index) => {
      for (const attribute of ATTRIBUTES) {
        this.now[attribute][position] = state[attribute][index] ?? NaN;
      }
    });
    for (let position = 0; position < this.count; position += 1) {
      for (const attribute of CLASS_NAMES) {
        const value = this.old[attribute][position];
        if (value >= 0) this.counts.before[attribute][value] += 1;
      }
      this.#tally(position, 1);
    }
    for (const operation of state.history) this.#remember(operation);
  }

  /** @param {number} position */
  isReviewed(position) {
    const { reviewed, deleted } = this.now;
    // also where an earlier round deleted the label, and only the picture is still there
    const isDeletedBefore = this.settled[position] === 1 && this.isUnlabelled(position);
    return Boolean(reviewed[position] || deleted[position]) || isDeletedBefore;
  }

  /** @param {number} position */
  isEdited(position) {
    return CLASS_NAMES.some(
      (name) =>
        this.now[name][position] !== this.old[name][position] ||
        !Number.isNaN(this.now[VALUE_OF[name]][position]),
    );
  }

  /**
   * Return what should be done at a picture: the steering or the throttle of its label, as the
   * export will have it; NaN where it is unknown.
   * @param {number} position
   * @param {ClassName} attribute
   */
  value(position, attribute) {
    const name = VALUE_OF[attribute];
    const value = this.now[name][position];
    const number = this.now[attribute][position];
    if (!Number.isNaN(value)) return value;
    if (number < 0) return NaN;
    if (number === this.old[attribute][position]) return this.inFile[name][position];
    return valueIn(this.bins(position, attribute), number, this.raw[attribute][position]);
  }

  /**
   * Return the average value of a picture and its neighbours in the same run; NaN if none has one.
   * @param {number} position
   * @param {ClassName} attribute
   * @param {number} reach  pictures on each side
   */
  average(position, attribute, reach) {
    const isStart = (/** @type {number} */ at) => Boolean(this.flags[at] & Flag.RUN_START);
    let first = position;
    while (first > Math.max(position - reach, 0) && !isStart(first)) first -= 1;
    let end = position + 1;
    while (end <= position + reach && end < this.count && !isStart(end)) end += 1;
    const near = Array.from({ length: end - first }, (_, index) =>
      this.value(first + index, attribute),
    ).filter((value) => !Number.isNaN(value));
    return near.reduce((sum, value) => sum + value, 0) / near.length;
  }

  /**
   * Return the bins that the classes of a picture are.
   * @param {number} position
   * @param {ClassName} attribute
   * @returns {Bins}
   */
  bins(position, attribute) {
    const count = this.classes(position, attribute);
    return attribute === "direction"
      ? { count, low: -1, high: 1 }
      : { count, low: 0, high: this.spans[position] };
  }

  /**
   * Return whether the driver did what belongs to another class.
   * @param {number} position
   * @param {ClassName} attribute
   * @returns {number} that class, -1 where it is this one or unknown
   */
  otherClass(position, attribute) {
    const driven = classOf(this.bins(position, attribute), this.raw[attribute][position]);
    return driven === this.now[attribute][position] ? -1 : driven;
  }

  /**
   * Return whether the export will differ from the label file here.
   * @param {number} position
   */
  isTouched(position) {
    return (
      this.isEdited(position) ||
      (this.now.reviewed[position] === 1 && !this.settled[position]) ||
      this.now.deleted[position] !== this.old.deleted[position]
    );
  }

  /** @param {number} position */
  hasBothClasses(position) {
    return CLASS_NAMES.every((name) => this.now[name][position] >= 0);
  }

  /**
   * Return whether the file has no label of a picture.
   * @param {number} position
   */
  isNew(position) {
    return Boolean(this.flags[position] & Flag.UNLABELLED);
  }

  /**
   * Return whether a picture has no label, neither in the file nor a complete one since.
   * @param {number} position
   */
  isUnlabelled(position) {
    return this.isNew(position) && !this.hasBothClasses(position);
  }

  /**
   * Return whether the label of a picture says only that nobody has labelled it, as an import does.
   * @param {number} position
   */
  isNobodys(position) {
    return (
      Boolean(this.flags[position] & Flag.NOBODY) &&
      !this.isEdited(position) &&
      this.now.reviewed[position] === 0
    );
  }

  /**
   * Return whether no valid label can be made of this one as it is now; see export.py.
   * @param {number} position
   */
  isInvalid(position) {
    const { flags, now } = this;
    if (!(flags[position] & Flag.INVALID)) return false;
    const isDecided = now.reviewed[position] === 1 || this.isEdited(position);
    const isMended = isDecided && this.hasBothClasses(position);
    return !isMended || Boolean(flags[position] & Flag.HOPELESS);
  }

  /**
   * Return how many classes an attribute has for this picture.
   * @param {number} position
   * @param {ClassName} attribute
   */
  classes(position, attribute) {
    return classesOf(this.groups[this.group[position]], attribute);
  }

  /**
   * Return the most classes that an attribute has for any picture.
   * @param {ClassName} attribute
   */
  mostClasses(attribute) {
    return Math.max(...this.groups.map((group) => classesOf(group, attribute)));
  }

  /**
   * Return those of the positions that have the same classes as a picture.
   * @param {number} picture
   * @param {Int32Array} positions
   */
  withClassesOf(picture, positions) {
    return positions.filter((position) => this.group[position] === this.group[picture]);
  }

  /**
   * Set a class; return null when that changes nothing.
   * @param {Int32Array} positions  ascending
   * @param {ClassName} attribute
   * @param {number} value
   * @param {string} [prefix]  of the step's text
   */
  label(positions, attribute, value, prefix = "") {
    const values = {
      ...this.#completion(positions, attribute),
      ...this.#valuesFor(positions, attribute, () => value),
      [attribute]: value,
      reviewed: 1,
    };
    return this.#edit("label", `${prefix}${attribute} ${value}`, positions, values);
  }

  /**
   * Return what completes new labels when one of their classes is set: a direction takes the speed
   * of the label before, or else of the one after; of a single class there is no choice.
   * @param {Int32Array} positions  ascending
   * @param {ClassName} attribute   the one that is set
   * @returns {Changes}
   */
  #completion(positions, attribute) {
    const other = attribute === "direction" ? "speed" : "direction";
    const isOpen = (/** @type {number} */ position) =>
      this.isNew(position) && this.now[other][position] < 0;
    if (!positions.some(isOpen)) return {};
    const near = other === "speed" ? this.#nearest(other) : null;
    const classes = Int8Array.from(positions, (position) => {
      if (!isOpen(position)) return this.now[other][position];
      return this.classes(position, other) === 1 ? 0 : (near?.[position] ?? -1);
    });
    return { ...this.#valuesFor(positions, other, (index) => classes[index]), [other]: classes };
  }

  /**
   * Return for each picture the class of the nearest label of the same classes: the one before, or
   * else the one after; -1 where there is none.
   * @param {ClassName} attribute
   */
  #nearest(attribute) {
    const found = new Int8Array(this.count).fill(-1);
    for (const step of /** @type {const} */ ([1, -1])) {
      const last = this.groups.map(() => -1);
      for (let index = 0; index < this.count; index += 1) {
        const position = step > 0 ? index : this.count - 1 - index;
        const group = this.group[position];
        const value = this.now[attribute][position];
        if (value >= 0) last[group] = value;
        if (found[position] < 0) found[position] = last[group];
      }
    }
    return found;
  }

  /**
   * Set steering or throttle, and with it the class; return null when that changes nothing.
   * @param {Int32Array} positions  ascending
   * @param {ClassName} attribute
   * @param {ArrayLike<number>} values  -1 .. 1, one a position
   * @param {"value" | "nudge" | "smooth"} [kind]
   */
  setValues(positions, attribute, values, kind = "value") {
    const classes = Int8Array.from(positions, (position, index) =>
      classOf(this.bins(position, attribute), values[index]),
    );
    return this.#edit(kind, `${VALUE_OF[attribute]} set`, positions, {
      [attribute]: classes,
      [VALUE_OF[attribute]]: Float64Array.from(positions, (position, index) =>
        this.#settled(position, attribute, classes[index], values[index]),
      ),
      reviewed: 1,
    });
  }

  /**
   * Set whole labels; return null when that changes nothing.
   * @param {Int32Array} positions  ascending
   * @param {Record<ClassName, Int8Array>} classes
   * @param {Record<ClassName, Float64Array>} values  in these classes
   * @param {Int8Array} deleted
   * @param {string} text
   */
  setLabels(positions, classes, values, deleted, text) {
    const settled = (/** @type {ClassName} */ name) =>
      Float64Array.from(positions, (position, index) =>
        this.#settled(position, name, classes[name][index], values[name][index]),
      );
    return this.#edit("label", text, positions, {
      direction: classes.direction,
      speed: classes.speed,
      steering: settled("direction"),
      throttle: settled("speed"),
      deleted,
      reviewed: 1,
    });
  }

  /**
   * Return the values that go with classes: unchanged ones keep theirs.
   * @param {Int32Array} positions
   * @param {ClassName} attribute
   * @param {(index: number) => number} classAt
   * @returns {Changes}
   */
  #valuesFor(positions, attribute, classAt) {
    const name = VALUE_OF[attribute];
    const values = Float64Array.from(positions, (position, index) => {
      const number = classAt(index);
      if (number < 0) return NaN;
      if (number === this.now[attribute][position]) return this.now[name][position];
      const isJudged = attribute === "direction" || this.tellsSpan[position] === 1;
      if (!isJudged && number === this.old[attribute][position]) return NaN;
      const raw = this.raw[attribute][position];
      const value = valueIn(this.bins(position, attribute), number, raw);
      return this.#settled(position, attribute, number, value);
    });
    return { [name]: values };
  }

  /**
   * Return a value as a step has it: NaN where it is what the label file has.
   * @param {number} position
   * @param {ClassName} attribute
   * @param {number} number  the class set with it
   * @param {number} value
   */
  #settled(position, attribute, number, value) {
    const isAsInFile =
      number === this.old[attribute][position] &&
      value === this.inFile[VALUE_OF[attribute]][position];
    return isAsInFile ? NaN : value;
  }

  /**
   * Mark labels as reviewed. Labels with an unknown class cannot be confirmed.
   * @param {Int32Array} positions  ascending
   */
  confirm(positions) {
    const known = positions.filter((position) => this.hasBothClasses(position));
    return this.#edit("confirm", "confirmed", known, { reviewed: 1 });
  }

  /**
   * Mark all labels of the file to delete, or, when all are marked, none.
   * @param {Int32Array} pictures  ascending
   */
  toggleDeleted(pictures) {
    const positions = pictures.filter((position) => !this.isNew(position));
    const areMarked = positions.every((position) => this.now.deleted[position] === 1);
    const text = areMarked ? "kept" : "marked to delete";
    return this.#edit("delete", text, positions, { deleted: areMarked ? 0 : 1 });
  }

  /**
   * Set the classes that the file has as texts.
   * @param {Fix[]} fixes
   */
  fix(fixes) {
    const positions = Int32Array.from(fixes, (fix) => fix.position);
    return this.#edit("fix", "texts read as numbers", positions, {
      ...this.#valuesFor(positions, "direction", (index) => fixes[index].direction),
      ...this.#valuesFor(positions, "speed", (index) => fixes[index].speed),
      direction: Int8Array.from(fixes, (fix) => fix.direction),
      speed: Int8Array.from(fixes, (fix) => fix.speed),
      reviewed: 1,
    });
  }

  /**
   * Move labels to other pictures.
   *
   * Pictures that get no label from another of these, of the same run and classes, are marked to
   * delete, or have none again if the file has none. Consecutive shifts of the same pictures add up, so that one there and back changes
   * nothing.
   * @param {Int32Array} positions  ascending
   * @param {number} by  pictures later; negative for earlier
   */
  shift(positions, by) {
    const { total, before } = this.#sumOfShifts(positions, by);
    const runOf = this.#runs(positions);
    const indexOf = new Map(Array.from(positions, (position, index) => [position, index]));
    const direction = before.direction.slice();
    const speed = before.speed.slice();
    const deleted = before.deleted.slice();
    const steering = before.steering.slice();
    const throttle = before.throttle.slice();
    for (let index = 0; index < positions.length; index += 1) {
      const from = indexOf.get(positions[index] - total);
      // No label crosses from one run to another, or to a picture of other classes.
      if (
        from !== undefined &&
        (!this.isNew(positions[from]) ||
          (before.direction[from] >= 0 && before.speed[from] >= 0)) &&
        runOf[from] === runOf[index] &&
        this.group[positions[from]] === this.group[positions[index]] &&
        this.spans[positions[from]] === this.spans[positions[index]]
      ) {
        direction[index] = before.direction[from];
        speed[index] = before.speed[from];
        steering[index] = before.steering[from];
        throttle[index] = before.throttle[from];
      } else if (this.isNew(positions[index])) {
        direction[index] = speed[index] = -1;
        steering[index] = throttle[index] = NaN;
      } else {
        deleted[index] = 1;
      }
      const position = positions[index];
      steering[index] = this.#settled(position, "direction", direction[index], steering[index]);
      throttle[index] = this.#settled(position, "speed", speed[index], throttle[index]);
    }
    const text = `labels moved ${Math.abs(by)} ${by < 0 ? "earlier" : "later"}`;
    return this.#edit(
      "shift",
      text,
      positions,
      { direction, speed, deleted, steering, throttle },
      by,
    );
  }

  /**
   * Add a shift to those just done of the same pictures.
   * @param {Int32Array} positions
   * @param {number} by
   * @returns what they make together, and the values before the first of them
   */
  #sumOfShifts(positions, by) {
    const ranges = JSON.stringify(rangesOf(positions));
    let total = by;
    let before = this.#valuesNow(positions);
    /** @type {Operation | null} */
    let first = null;
    // From the values before the first of them: those shifted out come back with a shift back.
    for (let index = this.done.length - 1; index >= 0; index -= 1) {
      const step = this.done[index];
      if (step.kind !== "shift" || JSON.stringify(step.positions) !== ranges) break;
      total += step.by ?? 0;
      before = valuesBefore(step);
      first = step;
    }
    if (first) this.#fillIn(positions, before);
    return { total, before };
  }

  /**
   * Return the number of the run of pictures that each position belongs to.
   * @param {Int32Array} positions  ascending
   */
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
    const columnOf = (/** @type {Exclude<Attribute, ValueName>} */ attribute) =>
      Float64Array.from(positions, (position) => this.now[attribute][position]);
    const valuesOfClass = (/** @type {ClassName} */ attribute) =>
      Float64Array.from(positions, (position) => this.value(position, attribute));
    return {
      direction: columnOf("direction"),
      speed: columnOf("speed"),
      deleted: columnOf("deleted"),
      steering: valuesOfClass("direction"),
      throttle: valuesOfClass("speed"),
    };
  }

  /**
   * Fill in the values that a step found as the label file has them.
   * @param {Int32Array} positions
   * @param {Record<ClassName | ValueName, Float64Array>} before
   */
  #fillIn(positions, before) {
    for (const attribute of CLASS_NAMES) {
      const values = before[VALUE_OF[attribute]];
      positions.forEach((position, index) => {
        const number = before[attribute][index];
        if (!Number.isNaN(values[index]) || number < 0) return;
        values[index] =
          number === this.old[attribute][position]
            ? this.inFile[VALUE_OF[attribute]][position]
            : valueIn(this.bins(position, attribute), number, this.raw[attribute][position]);
      });
    }
  }

  /** Undo the last step; return the step that does so, null when there is nothing to undo. */
  undo() {
    const step = this.done.at(-1);
    return step ? this.#perform(inverse(step)) : null;
  }

  /** Redo the step undone last; return the step that does so, null when there is none. */
  redo() {
    const step = this.undone.at(-1);
    return step ? this.#perform({ ...step, uid: newUid(), kind: "redo", of: step.uid }) : null;
  }

  /**
   * Apply a step of another page, such as a tab that was killed.
   * @param {Operation} operation
   */
  apply(operation) {
    this.#perform(operation);
  }

  /**
   * Make a step of new values and perform it; return null when it changes nothing.
   * @param {Operation["kind"]} kind
   * @param {string} text
   * @param {Int32Array} positions
   * @param {Changes} values
   * @param {number} [by]  of a shift
   */
  #edit(kind, text, positions, values, by = 0) {
    const attributes = /** @type {Attribute[]} */ (Object.keys(values));
    const valueAt = (/** @type {Attribute} */ attribute, /** @type {number} */ index) => {
      const value = /** @type {number | Int8Array | Float64Array} */ (values[attribute]);
      return typeof value === "number" ? value : value[index];
    };
    const changes = Array.from(positions, (position, index) =>
      attributes.some(
        (attribute) => !Object.is(this.now[attribute][position], valueAt(attribute, index)),
      ),
    );
    if (!changes.includes(true)) return null;
    // A shift keeps all its pictures: the next one adds up with it only if they are the same.
    const kept = Array.from(positions.keys()).filter((index) => by || changes[index]);
    const changed = Int32Array.from(kept, (index) => positions[index]);
    /** @type {Operation} */
    const operation = { uid: newUid(), kind, text, positions: rangesOf(changed), set: {}, was: {} };
    if (by) operation.by = by;
    for (const attribute of attributes) {
      operation.set[attribute] = runsOf(kept.map((index) => valueAt(attribute, index)));
      operation.was[attribute] = runsOf(
        Array.from(changed, (position) => this.now[attribute][position]),
      );
    }
    return this.#perform(operation);
  }

  /** @param {Operation} operation */
  #perform(operation) {
    const positions = positionsOf(operation.positions);
    // Out of the counts as it was, in again as it is: a step costs its own pictures only.
    for (const position of positions) this.#tally(position, -1);
    for (const attribute of ATTRIBUTES) {
      const runs = operation.set[attribute];
      if (!runs) continue;
      const values = valuesOf(runs, positions.length);
      positions.forEach((position, index) => {
        this.now[attribute][position] = values[index];
      });
    }
    for (const position of positions) this.#tally(position, 1);
    this.#remember(operation);
    this.changed = positions;
    this.dispatchEvent(new Event("change"));
    return operation;
  }

  /**
   * Keep a step to be undone or redone.
   * @param {Operation} operation
   */
  #remember(operation) {
    if (operation.kind === "undo") {
      const step = removeStep(this.done, operation.of);
      if (step) this.undone.push(step);
    } else if (operation.kind === "redo") {
      this.done.push(removeStep(this.undone, operation.of) ?? operation);
    } else {
      this.done.push(operation);
      // What was undone before a new step cannot be redone after it.
      this.undone = [];
    }
  }

  /**
   * Add a label to the counts, or take it out of them.
   * @param {number} position
   * @param {1 | -1} sign
   */
  #tally(position, sign) {
    const { now, counts } = this;
    if (this.isReviewed(position)) counts.reviewed += sign;
    if (now.deleted[position]) {
      counts.deleted += sign;
      return;
    }
    if (this.isNew(position)) counts.created += this.hasBothClasses(position) ? sign : 0;
    else if (this.isEdited(position)) counts.edited += sign;
    for (const name of CLASS_NAMES) {
      if (now[name][position] >= 0) counts.now[name][now[name][position]] += sign;
    }
  }
}

/** @param {Entries} entries */
function capturesOf({ ids, drive, driver, day }) {
  const indexed = (/** @type {Names} */ { names, runs }) => {
    return { names, index: Int32Array.from(valuesOf(runs, ids.length)) };
  };
  return { drive: indexed(drive), driver: indexed(driver), day: indexed(day) };
}

function noneOfEachClass() {
  return { direction: new Int32Array(MAX_CLASS_KEYS), speed: new Int32Array(MAX_CLASS_KEYS) };
}

/** @param {Group} group @param {ClassName} attribute */
function classesOf(group, attribute) {
  return attribute === "direction" ? group.nb_dir : group.nb_speed;
}

/**
 * Return the values of a shift's pictures before it.
 * @param {Operation} step
 */
function valuesBefore(step) {
  const count = positionsOf(step.positions).length;
  return {
    direction: valuesOf(step.was.direction ?? [], count),
    speed: valuesOf(step.was.speed ?? [], count),
    deleted: valuesOf(step.was.deleted ?? [], count),
    steering: valuesOf(step.was.steering ?? [[null, count]], count),
    throttle: valuesOf(step.was.throttle ?? [[null, count]], count),
  };
}

/** @param {Operation} step @returns {Operation} the step that undoes it */
function inverse(step) {
  return { ...step, uid: newUid(), kind: "undo", of: step.uid, set: step.was, was: step.set };
}

/**
 * Take a step out of a list. It need not be the last: another tab may have gone on meanwhile.
 * @param {Operation[]} steps
 * @param {string | null | undefined} uid
 */
function removeStep(steps, uid) {
  const index = steps.findLastIndex((step) => step.uid === uid);
  return index < 0 ? undefined : steps.splice(index, 1)[0];
}

function newUid() {
  return crypto.randomUUID();
}
