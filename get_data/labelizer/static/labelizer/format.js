// How classes, counts and shares are written for people.

/** @typedef {import("./types").ClassName} ClassName */

export const FULL_LOCK = Math.PI / 3; // angle of a needle at steering 1

/** @type {Record<number, string[]>} */
const DIRECTIONS = {
  2: ["left", "right"],
  3: ["left", "straight", "right"],
  5: ["hard left", "left", "straight", "right", "hard right"],
};
/** @type {Record<number, string[]>} */
const SPEEDS = { 2: ["slow", "fast"], 3: ["slow", "middle", "fast"] };

/**
 * Return the name of a class; "" where so many classes have no names.
 * @param {ClassName} attribute
 * @param {number} value
 * @param {number} classes  how many there are
 */
export function nameOfClass(attribute, value, classes) {
  const names = attribute === "direction" ? DIRECTIONS : SPEEDS;
  return names[classes]?.[value] ?? "";
}

/**
 * Return where a direction points, in degrees to the right of straight on.
 * @param {number} value
 * @param {number} classes  how many there are
 */
export function angleOfDirection(value, classes) {
  return classes > 1 ? -60 + (120 * value) / (classes - 1) : 0;
}

/**
 * Return a share of steering or throttle for people.
 * @param {number} value  -1 .. 1, or NaN
 */
export function shareText(value) {
  return Number.isNaN(value) ? "–" : value.toFixed(2).replace("-", "−");
}

/**
 * Return a number with a comma every three digits.
 * @param {number} value
 */
export function number(value) {
  return value.toLocaleString("en");
}

/**
 * Return a number of things, such as "1 picture" or "2 pictures".
 * @param {number} value
 * @param {string} singular
 * @param {string} [plural]
 */
export function count(value, singular, plural = `${singular}s`) {
  return `${number(value)} ${value === 1 ? singular : plural}`;
}

/**
 * Return a share in percent, rounded. Only none is "0 %" and only all is "100 %".
 * @param {number} part
 * @param {number} whole
 */
export function percent(part, whole) {
  const nearest = Math.round((100 * part) / Math.max(whole, 1));
  if (part > 0 && nearest === 0) return "under 1 %";
  if (part < whole && nearest === 100) return "over 99 %";
  return `${nearest} %`;
}
