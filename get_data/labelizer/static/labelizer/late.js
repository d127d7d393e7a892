// Drives whose labels are late, and the step that moves them back.

import { byId, make } from "./dom.js";
import { count } from "./format.js";
import { rangesOf } from "./runs.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types").Operation} Operation */

/**
 * Show each late drive with a button that moves its labels, as one step to undo.
 * @param {Session} session
 * @param {(operation: Operation) => void} onMoved  commits the step
 */
export function renderLate(session, onMoved) {
  const { model, store } = session;
  const rows = model.late.map(({ drive, pictures }) => {
    const positions = positionsOfDrive(session, drive);
    const left = pictures + movedBy(session, positions);
    const name = `${store.captures.drive.names[drive]} (${count(positions.length, "picture")})`;
    if (left <= 0) return make("li", {}, `✓ ${name}: its labels were moved.`);
    const text = `Move them ${count(left, "picture")} earlier`;
    const attributes = { type: "button", "data-drive": String(drive), disabled: session.readOnly };
    const button = make("button", attributes, text);
    button.addEventListener("click", () => {
      const operation = store.shift(positions, -left);
      if (operation) onMoved(operation);
    });
    return make("li", {}, `${name}: the labels are ${count(left, "picture")} late. `, button);
  });
  byId("late").hidden = rows.length === 0;
  byId("late-drives").replaceChildren(...rows);
}

/**
 * @param {Session} session
 * @param {number} drive
 */
function positionsOfDrive({ store }, drive) {
  const { index } = store.captures.drive;
  const first = index.indexOf(drive);
  return Int32Array.from({ length: index.lastIndexOf(drive) - first + 1 }, (_, at) => first + at);
}

/**
 * Return by how many pictures labels were moved since the file was read; negative for earlier.
 * @param {Session} session
 * @param {Int32Array} positions
 */
function movedBy({ store }, positions) {
  const ranges = JSON.stringify(rangesOf(positions));
  return store.done
    .filter((step) => step.kind === "shift" && JSON.stringify(step.positions) === ranges)
    .reduce((sum, step) => sum + (step.by ?? 0), 0);
}
