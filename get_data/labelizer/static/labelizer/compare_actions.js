// The action that takes over the label of another person.

import { finish, finishMany, targetsLikeShown } from "./label_actions.js";

/** @typedef {import("./action_context.js").Actions} Actions */
/** @typedef {import("./action_context.js").ActionContext} ActionContext */

/** @param {ActionContext} context @returns {Actions} */
export function compareActions(context) {
  return { "take-other": () => takeOther(context) };
}

/**
 * Take over the other person's labels of the selection, or of the picture shown, and go on.
 * @param {ActionContext} context
 */
function takeOther(context) {
  const { session, store, player } = context;
  const { comparison } = store;
  if (context.refusesEdits()) return;
  if (!comparison) {
    context.toast("No other labels are open: start the labelizer with --compare FILE.");
    return;
  }
  player.stop();
  const isMany = session.selectedCount > 0;
  const { same, skipped } = targetsLikeShown(context);
  const { position } = session;
  const operation = comparison.take(same);
  if (isMany) finishMany(context, operation, `label of ${comparison.name}`, skipped);
  else if (operation) finish(context, operation, true);
  else {
    const has = comparison.hasLabel(position) ? "has the same label" : "has no label to compare";
    context.toast(`${comparison.name} ${has}.`);
  }
}
