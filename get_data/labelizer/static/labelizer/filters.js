// Which pictures are shown, and in which order. Independent of the page.

import { CLASS_NAMES, Flag, MAX_CLASS_KEYS } from "./store.js";
import { isToBeLabelled } from "./unlabelled.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./suspicion.js").Suspicion} Suspicion */
/** @typedef {import("./types").CaptureName} CaptureName */

/**
 * @typedef {object} Filter
 * @property {number[]} direction  classes to show; empty for all
 * @property {number[]} speed      classes to show; empty for all
 * @property {[number, number]} steering  limits, -1 .. 1
 * @property {[number, number]} throttle  limits, -1 .. 1
 * @property {string[]} state  keys of STATES, all of which hold; empty for all pictures
 * @property {Record<CaptureName, number>} captures  index of drive, driver and day; -1 for all
 * @property {string} text   part of the img_id
 * @property {Order} order
 */

/** @typedef {"time" | "suspicious" | "unlabelled"} Order */

/** What a set is told apart by, beside its labels. @type {readonly CaptureName[]} */
export const CAPTURES = ["drive", "driver", "day"];

/** @typedef {(suspicion: Suspicion, position: number) => boolean} Matches */

/** @type {Record<string, {name: string, matches: Matches}>} */
export const STATES = {
  unlabelled: {
    name: "not labelled",
    matches: ({ store, findings }, position) => isToBeLabelled(store, findings, position),
  },
  suspicious: {
    name: "suspicious",
    matches: (suspicion, position) => suspicion.isSuspicious(position),
  },
  unreviewed: {
    name: "not reviewed",
    matches: ({ store }, position) => !store.isReviewed(position),
  },
  reviewed: { name: "reviewed", matches: ({ store }, position) => store.isReviewed(position) },
  edited: { name: "changed", matches: ({ store }, position) => store.isEdited(position) },
  deleted: {
    name: "to delete",
    matches: ({ store }, position) => store.now.deleted[position] === 1,
  },
  still: {
    name: "standing still",
    matches: ({ findings }, position) => findings.still[position] === 1,
  },
  broken: {
    name: "broken or missing",
    matches: ({ store, findings }, position) =>
      Boolean(store.flags[position] & (Flag.BROKEN | Flag.MISSING)) ||
      findings.broken.has(position),
  },
  invalid: { name: "not valid", matches: ({ store }, position) => store.isInvalid(position) },
  person: {
    name: "by a person before",
    matches: ({ store }, position) => Boolean(store.flags[position] & Flag.PERSON),
  },
};

/** @type {Record<Order, string>} orders, as people read them */
export const ORDERS = {
  time: "time",
  suspicious: "most suspicious first",
  unlabelled: "not labelled first",
};

/** Return the filter that shows everything. @returns {Filter} */
export function defaultFilter() {
  return {
    direction: [],
    speed: [],
    steering: [-1, 1],
    throttle: [-1, 1],
    state: [],
    captures: { drive: -1, driver: -1, day: -1 },
    text: "",
    order: "time",
  };
}

/** @param {Filter} filter */
function showsAll(filter) {
  return JSON.stringify({ ...filter, order: "time" }) === JSON.stringify(defaultFilter());
}

/**
 * Return all positions in the order of the filter.
 *
 * The caller keeps them: sorting again after each edit would move pictures under the cursor.
 * @param {Suspicion} suspicion
 * @param {Filter} filter
 */
export function sortedPositions(suspicion, filter) {
  if (filter.order === "suspicious") return suspicion.order();
  const { store, findings } = suspicion;
  const positions = Int32Array.from({ length: store.count }, (_, position) => position);
  if (filter.order === "time") return positions;
  const isFirst = Uint8Array.from(positions, (position) =>
    Number(isToBeLabelled(store, findings, position)),
  );
  return positions.sort((first, second) => isFirst[second] - isFirst[first] || first - second);
}

/**
 * Return the positions that the filter shows.
 * @param {Suspicion} suspicion
 * @param {Filter} filter
 * @param {Int32Array} positions
 */
export function applyFilter(suspicion, filter, positions) {
  if (showsAll(filter)) return positions;
  const tests = testsOf(suspicion, filter);
  return positions.filter((position) => {
    // Run for each of many pictures after each key: a plain loop is the fastest.
    for (const isShown of tests) if (!isShown(position)) return false;
    return true;
  });
}

/**
 * Return what a picture must pass to be shown.
 * @param {Suspicion} suspicion
 * @param {Filter} filter
 * @returns {((position: number) => boolean)[]}
 */
function testsOf(suspicion, filter) {
  const { store } = suspicion;
  const text = filter.text.toLowerCase();
  const tests = filter.state.map((name) => {
    const { matches } = STATES[name];
    return (/** @type {number} */ position) => matches(suspicion, position);
  });
  for (const name of CLASS_NAMES) {
    const shown = mask(filter[name]);
    if (shown) tests.push((position) => shown[store.now[name][position] + 1]);
  }
  for (const name of CAPTURES) {
    const { index } = store.captures[name];
    const wanted = filter.captures[name];
    if (wanted >= 0) tests.push((position) => index[position] === wanted);
  }
  const ranges = [
    range(store.raw.direction, filter.steering),
    range(store.raw.speed, filter.throttle),
  ];
  tests.push(...ranges.filter((isWithin) => isWithin !== null));
  if (text) tests.push((position) => store.ids[position].toLowerCase().includes(text));
  return tests;
}

/**
 * Return for each class from -1 (unknown) on whether it is shown; null for all.
 * @param {number[]} classes
 */
function mask(classes) {
  return classes.length
    ? Array.from({ length: MAX_CLASS_KEYS + 1 }, (_, index) => classes.includes(index - 1))
    : null;
}

/**
 * Return a function that tells whether a picture's value is within limits; null for no limits.
 * @param {Float64Array} values
 * @param {[number, number]} limits
 */
function range(values, [least, most]) {
  if (least <= -1 && most >= 1) return null;
  return (/** @type {number} */ position) => values[position] >= least && values[position] <= most;
}

/**
 * Return a filter as parameters of an address: only what differs from the default.
 * @param {Filter} filter
 */
export function toParameters(filter) {
  const parameters = new URLSearchParams();
  const { captures, ...others } = filter;
  const standard = defaultFilter();
  for (const [name, value] of Object.entries(others)) {
    const text = String(value);
    if (text !== String(standard[/** @type {keyof Filter} */ (name)])) parameters.set(name, text);
  }
  for (const name of CAPTURES) {
    if (captures[name] >= 0) parameters.set(name, String(captures[name]));
  }
  return parameters;
}

/**
 * Return a filter from parameters of an address; invalid ones are ignored.
 * @param {URLSearchParams} parameters
 */
export function fromParameters(parameters) {
  const filter = defaultFilter();
  for (const name of CLASS_NAMES) {
    filter[name] = (parameters.get(name) ?? "")
      .split(",")
      .filter((text) => /^\d$/.test(text))
      .map(Number);
  }
  for (const name of /** @type {const} */ (["steering", "throttle"])) {
    const [least, most] = (parameters.get(name) ?? "").split(",").map(Number);
    if (least >= -1 && most <= 1) filter[name] = [least, most];
  }
  filter.state = (parameters.get("state") ?? "")
    .split(",")
    .filter((state) => Object.hasOwn(STATES, state));
  for (const name of CAPTURES) {
    const text = parameters.get(name) ?? "";
    if (/^\d{1,7}$/.test(text)) filter.captures[name] = Number(text);
  }
  filter.text = parameters.get("text") ?? "";
  const order = parameters.get("order") ?? "";
  if (Object.hasOwn(ORDERS, order)) filter.order = /** @type {Order} */ (order);
  return filter;
}
