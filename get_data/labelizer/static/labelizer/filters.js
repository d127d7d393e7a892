// Which pictures are shown, and in which order. Knows nothing of the page.

import { Flag } from "./store.js";
import { score } from "./suspicion.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./suspicion.js").Looks} Looks */

/**
 * @typedef {object} Filter
 * @property {number[]} direction  classes to show, none for all
 * @property {number[]} speed
 * @property {[number, number]} steering  from and to, -1 .. 1
 * @property {[number, number]} throttle
 * @property {string} state  a key of STATES
 * @property {string} text   part of the img_id
 * @property {"time" | "suspicious"} order
 */

/** @type {Record<string, {name: string, holds: (store: Store, looks: Looks, position: number) => boolean}>} */
export const STATES = {
  all: { name: "all pictures", holds: () => true },
  unreviewed: { name: "not reviewed", holds: (store, _, position) => !store.isReviewed(position) },
  reviewed: { name: "reviewed", holds: (store, _, position) => store.isReviewed(position) },
  edited: { name: "label changed", holds: (store, _, position) => store.isEdited(position) },
  deleted: { name: "to delete", holds: (store, _, position) => store.now.deleted[position] === 1 },
  suspicious: {
    name: "suspicious",
    holds: (store, looks, position) => score(store, looks, position) > 0,
  },
  still: { name: "standing still", holds: (_, looks, position) => looks.still[position] === 1 },
  broken: {
    name: "broken or missing",
    holds: (store, looks, position) =>
      Boolean(store.flags[position] & (Flag.BROKEN | Flag.MISSING)) || looks.broken.has(position),
  },
  invalid: { name: "label not valid", holds: (store, _, position) => store.isInvalid(position) },
  person: {
    name: "labelled by a person before",
    holds: (store, _, position) => Boolean(store.flags[position] & Flag.PERSON),
  },
};

/** @returns {Filter} */
export function everything() {
  return {
    direction: [],
    speed: [],
    steering: [-1, 1],
    throttle: [-1, 1],
    state: "all",
    text: "",
    order: "time",
  };
}

/** @param {Filter} filter whether it leaves out nothing */
function showsAll(filter) {
  return JSON.stringify({ ...filter, order: "time" }) === JSON.stringify(everything());
}

/**
 * All positions in the order of the filter. Sorted once, so that an edit moves nothing.
 * @param {Store} store @param {Looks} looks @param {Filter} filter
 */
export function ordered(store, looks, filter) {
  const positions = Int32Array.from({ length: store.count }, (_, position) => position);
  if (filter.order === "time") return positions;
  const scores = Float32Array.from(positions, (position) => score(store, looks, position));
  return positions.sort((one, other) => scores[other] - scores[one] || one - other);
}

/**
 * Those of the positions that the filter shows.
 * @param {Store} store @param {Looks} looks @param {Filter} filter @param {Int32Array} positions
 */
export function shown(store, looks, filter, positions) {
  if (showsAll(filter)) return positions;
  const direction = mask(filter.direction);
  const speed = mask(filter.speed);
  const steering = range(store.steering, filter.steering);
  const throttle = range(store.throttle, filter.throttle);
  const text = filter.text.toLowerCase();
  const { holds } = STATES[filter.state];
  return positions.filter(
    (position) =>
      (!direction || direction[store.now.direction[position] + 1]) &&
      (!speed || speed[store.now.speed[position] + 1]) &&
      steering(position) &&
      throttle(position) &&
      (!text || store.ids[position].toLowerCase().includes(text)) &&
      holds(store, looks, position),
  );
}

/** @param {number[]} classes which classes, from -1, are wanted; null for all */
function mask(classes) {
  return classes.length
    ? Array.from({ length: 11 }, (_, index) => classes.includes(index - 1))
    : null;
}

/** @param {Float32Array} values @param {[number, number]} limits */
function range(values, [least, most]) {
  if (least <= -1 && most >= 1) return () => true;
  return (/** @type {number} */ position) => values[position] >= least && values[position] <= most;
}

/** @param {Filter} filter only what differs from everything */
export function toParameters(filter) {
  const parameters = new URLSearchParams();
  const all = everything();
  for (const [name, value] of Object.entries(filter)) {
    const text = String(value);
    if (text !== String(all[/** @type {keyof Filter} */ (name)])) parameters.set(name, text);
  }
  return parameters;
}

/** @param {URLSearchParams} parameters what is not understood is left out */
export function fromParameters(parameters) {
  const filter = everything();
  for (const name of /** @type {const} */ (["direction", "speed"])) {
    filter[name] = (parameters.get(name) ?? "")
      .split(",")
      .filter((text) => /^\d$/.test(text))
      .map(Number);
  }
  for (const name of /** @type {const} */ (["steering", "throttle"])) {
    const [least, most] = (parameters.get(name) ?? "").split(",").map(Number);
    if (least >= -1 && most <= 1) filter[name] = [least, most];
  }
  filter.state = parameters.get("state") ?? "all";
  if (!Object.hasOwn(STATES, filter.state)) filter.state = "all";
  filter.text = parameters.get("text") ?? "";
  filter.order = parameters.get("order") === "suspicious" ? "suspicious" : "time";
  return filter;
}
