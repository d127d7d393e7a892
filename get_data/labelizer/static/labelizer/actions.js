// What each action of the key table does. Keys, buttons and the help all run these.

import { compareActions } from "./compare_actions.js";
import { goActions } from "./go_actions.js";
import { ANYWHERE, showsPictures } from "./keys.js";
import { labelActions } from "./label_actions.js";
import { selectActions } from "./select_actions.js";
import { undoActions } from "./undo_actions.js";

/** @typedef {import("./action_context.js").Action} Action */
/** @typedef {import("./action_context.js").Actions} Actions */
/** @typedef {import("./action_context.js").ActionContext} ActionContext */

/**
 * Return all actions by name. Those that need a picture in sight refuse to run in other views.
 * @param {ActionContext} context
 * @returns {Actions}
 */
export function createActions(context) {
  const actions = {
    ...labelActions(context),
    ...compareActions(context),
    ...undoActions(context),
    ...goActions(context),
    ...selectActions(context),
    ...playActions(context),
    ...viewActions(context),
  };
  return Object.fromEntries(
    Object.entries(actions).map(([name, act]) => [name, guarded(context, name, act)]),
  );
}

/** @param {ActionContext} context @param {string} name @param {Action} act @returns {Action} */
function guarded(context, name, act) {
  if (ANYWHERE.includes(name)) return act;
  return (value) => {
    if (showsPictures(context.session.view)) act(value);
    else context.toast("Open Single or Grid first (V).");
  };
}

/** @param {ActionContext} context @returns {Actions} */
function playActions(context) {
  const { player } = context;
  return {
    play: () => play(context, 1),
    "play-back": () => play(context, -1),
    faster: () => player.changeRate(1),
    slower: () => player.changeRate(-1),
  };
}

/** @param {ActionContext} context @param {1 | -1} heading */
function play(context, heading) {
  const { session, player } = context;
  const end = heading > 0 ? session.store.count - 1 : 0;
  context.leaveSelection();
  if (!player.playing && [end, -1].includes(session.position)) context.tellEnd();
  else player.toggle(heading);
}

/** @param {ActionContext} context @returns {Actions} */
function viewActions({ session, services }) {
  return {
    "zoom-curve": () => {
      if (session.view !== "single") services.toast("The steering curve is in Single (V).");
      else if (!services.zoomCurve()) services.toast("The whole drive is in sight.");
    },
    "switch-view": () => session.showView(session.view === "grid" ? "single" : "grid"),
    "toggle-panel": () => services.togglePanel(),
    review: () => {
      if (session.view !== "review") session.showView("review");
      else services.toast("This is the review: its button writes the new label file.");
    },
    help: () => services.openDialog("help"),
  };
}
