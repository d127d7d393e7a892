// The actions of the key table's group Select.

import { count } from "./format.js";
import { NOTHING_SHOWN } from "./action_context.js";

/** @typedef {import("./action_context.js").Actions} Actions */
/** @typedef {import("./action_context.js").ActionContext} ActionContext */

/** @param {ActionContext} context @returns {Actions} */
export function selectActions(context) {
  return {
    "range-start": () => startRange(context),
    "range-end": () => endRange(context),
    "extend-back": () => extend(context, -1),
    "extend-forward": () => extend(context, 1),
    "select-all": () => selectAll(context),
    clear: () => {
      context.player.stop();
      context.session.clearSelection();
    },
  };
}

/** @param {ActionContext} context */
function startRange(context) {
  if (context.session.position < 0) {
    context.toast(NOTHING_SHOWN);
    return;
  }
  context.session.startRange();
  context.toast("Range started; ] ends it.");
}

/** @param {ActionContext} context */
function endRange(context) {
  const { session } = context;
  const from = session.rangeStart === null ? -1 : session.order.indexOf(session.rangeStart);
  if (from < 0) {
    context.toast("Start a range first, with [.");
    return;
  }
  session.selectPlaces(from, session.place);
  session.rangeStart = null;
  const selected = count(session.selectedCount, "picture");
  context.toast(`${selected} selected: the next label, or X, applies to all of them.`);
}

/** @param {ActionContext} context @param {1 | -1} step */
function extend(context, step) {
  const { session } = context;
  const place = session.place + step;
  if (place >= 0 && place < session.order.length) session.extendTo(place);
  else context.tellEnd();
}

/** @param {ActionContext} context */
function selectAll(context) {
  const { session } = context;
  if (!session.order.length) {
    context.toast(NOTHING_SHOWN);
    return;
  }
  session.selectPlaces(0, session.order.length - 1);
  context.toast(`${count(session.selectedCount, "picture")} selected: all that the filter shows.`);
}
