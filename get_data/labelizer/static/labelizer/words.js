// How classes and counts are called.

/** @typedef {import("./store.js").ClassName} ClassName */

const DIRECTIONS = {
  2: ["left", "right"],
  3: ["left", "straight", "right"],
  5: ["hard left", "left", "straight", "right", "hard right"],
};
const SPEEDS = { 2: ["slow", "fast"], 3: ["slow", "middle", "fast"] };

/** @param {ClassName} attribute @param {number} value @param {number} classes */
export function nameOf(attribute, value, classes) {
  const names = /** @type {Record<number, string[]>} */ (
    attribute === "direction" ? DIRECTIONS : SPEEDS
  );
  return names[classes]?.[value] ?? "";
}

/** @param {number} value @param {number} classes where a direction points, degrees to the right of straight on */
export function angleOf(value, classes) {
  return classes > 1 ? -60 + (120 * value) / (classes - 1) : 0;
}

/** @param {number} value @param {string} one @param {string} [many] */
export function count(value, one, many = `${one}s`) {
  return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
}

/** @param {number} part @param {number} whole @returns {string} the nearest percent; nothing and all are said of nothing and all alone */
export function percent(part, whole) {
  const nearest = Math.round((100 * part) / Math.max(whole, 1));
  if (part > 0 && nearest === 0) return "under 1 %";
  if (part < whole && nearest === 100) return "over 99 %";
  return `${nearest} %`;
}
