// The actions of the key table's group Undo.

import { count } from "./format.js";
import { sizeOf } from "./action_context.js";

/** @typedef {import("./action_context.js").Actions} Actions */
/** @typedef {import("./action_context.js").ActionContext} ActionContext */

/** @param {ActionContext} context @returns {Actions} */
export function undoActions(context) {
  return {
    undo: () => replay(context, "undo", false),
    "undo-and-go": () => replay(context, "undo", true),
    redo: () => replay(context, "redo", false),
  };
}

/**
 * Undo the last step, or redo the step undone last.
 * @param {ActionContext} context
 * @param {"undo" | "redo"} way
 * @param {boolean} go  to the step's first picture
 */
function replay(context, way, go) {
  const { session, store, player } = context;
  // Allowed where no picture is shown: the step undone may bring some back.
  if (session.readOnly) {
    context.refusesEdits();
    return;
  }
  player.stop();
  const operation = way === "undo" ? store.undo() : store.redo();
  if (!operation) {
    context.toast(`There is nothing to ${way}.`);
    return;
  }
  context.services.commit(operation);
  const [first] = operation.positions[0];
  if (!go) session.refresh(session.listed, "gone");
  else {
    session.refresh(first, "gone");
    if (!session.goToPosition(first)) session.goInTime(first);
  }
  const replayed = `${way === "undo" ? "Undid" : "Redid"} “${operation.text}”`;
  if (go && session.position !== first) {
    context.toast(`${replayed}; the filter does not show its picture.`);
  } else context.toast(`${replayed}: ${count(sizeOf(operation), "picture")}.`);
}
