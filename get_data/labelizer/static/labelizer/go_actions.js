// The actions of the key table's group Go.

import { score } from "./suspicion.js";

/** @typedef {import("./action_context.js").Actions} Actions */
/** @typedef {import("./action_context.js").ActionContext} ActionContext */

/** @param {ActionContext} context @returns {Actions} */
export function goActions(context) {
  const { session, store, services } = context;
  const isUnreviewed = (/** @type {number} */ position) => !store.isReviewed(position);
  const isSuspicious = (/** @type {number} */ position) =>
    isUnreviewed(position) && score(store, session.findings, position) > 0;
  // The first row keeps its column when there is no row above.
  const placeAbove = () => {
    const columns = services.columns();
    return Math.max(session.place - columns, session.place % columns);
  };
  return {
    previous: () => goTo(context, session.place - 1),
    next: () => goTo(context, session.place + 1),
    "back-ten": () => goTo(context, session.place - 10),
    "forward-ten": () => goTo(context, session.place + 10),
    first: () => goTo(context, 0),
    last: () => goTo(context, session.order.length - 1),
    "row-up": () => goTo(context, placeAbove()),
    "row-down": () => goTo(context, session.place + services.columns()),
    "next-unreviewed": () =>
      goToNext(context, isUnreviewed, "All pictures shown have been reviewed."),
    "next-suspicious": () =>
      goToNext(context, isSuspicious, "No unreviewed label shown looks wrong."),
    "go-to": () => {
      context.leaveSelection();
      services.openDialog("go-to");
    },
  };
}

/** @param {ActionContext} context @param {number} place */
function goTo(context, place) {
  const { session, player } = context;
  const before = session.place;
  player.stop();
  context.leaveSelection();
  session.goTo(place);
  if (session.place === before) context.tellEnd();
}

/**
 * Go to the next picture that fits, from the first again after the last.
 * @param {ActionContext} context
 * @param {(position: number) => boolean} fits
 * @param {string} none  the message when no picture does
 */
function goToNext(context, fits, none) {
  const { session, player } = context;
  const { order, place } = session;
  for (let step = 1; step <= order.length; step += 1) {
    const next = (place + step) % order.length;
    if (fits(order[next])) {
      player.stop();
      context.leaveSelection();
      if (next === place) context.toast("This is the only one.");
      else session.goTo(next);
      return;
    }
  }
  context.toast(none);
}
