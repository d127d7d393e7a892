// Positions as ranges and values as runs: the form in which steps are sent and stored.

/** @typedef {import("./types").Run} Run */
/** @typedef {import("./types").ValueRun} ValueRun */

/**
 * Return ascending positions as ranges of first and last.
 * @param {ArrayLike<number>} positions
 * @returns {Run[]}
 */
export function rangesOf(positions) {
  /** @type {Run[]} */
  const ranges = [];
  for (let index = 0; index < positions.length; index += 1) {
    const last = ranges.at(-1);
    if (last && positions[index] === last[1] + 1) last[1] = positions[index];
    else ranges.push([positions[index], positions[index]]);
  }
  return ranges;
}

/**
 * Return the positions of ranges.
 * @param {Run[]} ranges
 */
export function positionsOf(ranges) {
  const count = ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  const positions = new Int32Array(count);
  let index = 0;
  for (const [first, last] of ranges) {
    for (let position = first; position <= last; position += 1) positions[index++] = position;
  }
  return positions;
}

/**
 * Return values as runs of value and count; null for NaN.
 * @param {ArrayLike<number>} values
 * @returns {ValueRun[]}
 */
export function runsOf(values) {
  /** @type {ValueRun[]} */
  const runs = [];
  for (let index = 0; index < values.length; index += 1) {
    const last = runs.at(-1);
    const value = Number.isNaN(values[index]) ? null : values[index];
    if (last && value === last[0]) last[1] += 1;
    else runs.push([value, 1]);
  }
  return runs;
}

/**
 * Return the values of runs; NaN for null.
 * @param {ValueRun[]} runs
 * @param {number} count  of all values
 */
export function valuesOf(runs, count) {
  const values = new Float64Array(count);
  let index = 0;
  for (const [value, times] of runs) {
    values.fill(value ?? NaN, index, index + times);
    index += times;
  }
  return values;
}
