// The actions of the key table's group Select.

import { count } from "./format.js";
import { NOTHING_SHOWN } from "./action_context.js";
import { stretchAround } from "./stretches.js";

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
    "select-stretch": () => selectStretch(context),
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
  const { rangeStart } = session;
  const from = rangeStart === null ? -1 : session.order.indexOf(rangeStart);
  const isInGrid = session.view === "grid";
  if (rangeStart === null || (isInGrid && from < 0)) {
    context.toast("Start a range first, with [.");
    return;
  }
  if (isInGrid) session.selectPlaces(from, session.place);
  else session.selectTime(rangeStart, session.position);
  session.rangeStart = null;
  const selected = count(session.selectedCount, "picture");
  context.toast(`${selected} selected: the next label, or X, applies to all of them.`);
}

/** @param {ActionContext} context @param {1 | -1} step */
function extend(context, step) {
  const { session, store } = context;
  const isInGrid = session.view === "grid";
  const next = (isInGrid ? session.place : session.position) + step;
  const end = isInGrid ? session.order.length : store.count;
  if (session.position < 0 || next < 0 || next >= end) context.tellEnd();
  else if (isInGrid) session.extendTo(next);
  else session.extendInTime(next);
}

/**
 * Select the stretch around the picture shown that looks wrong: it is usually so as a whole.
 * @param {ActionContext} context
 */
function selectStretch(context) {
  const { session, store } = context;
  context.player.stop();
  const stretch = stretchAround(store, session.model, session.position);
  if (!stretch) {
    context.toast(
      "No stretch around this picture looks wrong: the steering does not jump to and fro.",
    );
    return;
  }
  session.clearSelection();
  session.selectTime(...stretch);
  const selected = count(session.selectedCount, "picture");
  context.toast(`${selected} selected: the next label, M or Shift+W is for all of them.`);
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
