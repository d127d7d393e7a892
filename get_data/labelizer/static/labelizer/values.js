// Classes as bins of steering and throttle: the arithmetic of labels/classes.py, step by step.

/** @typedef {{count: number, low: number, high: number}} Bins  equal bins, numbered from 0 */

/**
 * Return the bin of a value; -1 where the value is unknown.
 * @param {Bins} bins
 * @param {number} value  NaN where it is unknown
 */
export function classOf({ count, low, high }, value) {
  if (Number.isNaN(value)) return -1;
  const width = high - low;
  const share = width > 0 ? (value - low) / width : 0;
  return Math.trunc(Math.min(Math.max(share * count, 0), count - 1));
}

/**
 * Return the value in the middle of a bin.
 * @param {Bins} bins
 * @param {number} number
 */
export function centreOf({ count, low, high }, number) {
  const upperParts = 2 * number + 1;
  const lowerParts = 2 * count - upperParts;
  return (low * lowerParts + high * upperParts) / (2 * count);
}

/**
 * Return the value of a label whose class is set: what the driver did, if that is in the class.
 * @param {Bins} bins
 * @param {number} number
 * @param {number} raw  NaN where it is unknown
 */
export function valueIn(bins, number, raw) {
  return classOf(bins, raw) === number ? raw : centreOf(bins, number);
}
