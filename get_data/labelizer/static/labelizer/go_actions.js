// The actions of the key table's group Go.

import { defaultFilter } from "./filters.js";

/** @typedef {import("./action_context.js").Actions} Actions */
/** @typedef {import("./action_context.js").ActionContext} ActionContext */

/** @param {ActionContext} context @returns {Actions} */
export function goActions(context) {
  const { session, store, services } = context;
  const isUnreviewed = (/** @type {number} */ position) => !store.isReviewed(position);
  const isSuspicious = (/** @type {number} */ position) =>
    isUnreviewed(position) && session.suspicion.isSuspicious(position);
  // The first row keeps its column when there is no row above.
  const placeAbove = () => {
    const columns = services.columns();
    return Math.max(session.place - columns, session.place % columns);
  };
  return {
    previous: () => move(context, -1),
    next: () => move(context, 1),
    "back-ten": () => move(context, -10),
    "forward-ten": () => move(context, 10),
    "previous-listed": () => goTo(context, session.place - 1),
    "next-listed": () => goTo(context, session.place + 1),
    first: () => goTo(context, 0),
    last: () => goTo(context, session.order.length - 1),
    "row-up": () => goTo(context, placeAbove()),
    "row-down": () => goTo(context, session.place + services.columns()),
    "next-unreviewed": () =>
      goToNext(context, isUnreviewed, "All pictures shown have been reviewed."),
    "next-suspicious": () =>
      goToNext(context, isSuspicious, "No unreviewed label shown looks wrong."),
    "start-suspicious": () => startSuspicious(context),
    "go-to": () => {
      context.leaveSelection();
      services.openDialog("go-to");
    },
  };
}

/**
 * Show the most suspicious label, and the others after it.
 * @param {ActionContext} context
 */
function startSuspicious({ session, player }) {
  const { captures } = session.filter;
  player.stop();
  session.refine({
    ...defaultFilter(),
    captures,
    order: "suspicious",
    state: ["unreviewed"],
  });
  session.showView("single");
  session.goTo(0);
}

/**
 * Go to pictures before or after: in Single those of that time, in the grid those of the list.
 * @param {ActionContext} context
 * @param {number} by
 */
function move(context, by) {
  const { session } = context;
  if (session.view === "grid") goTo(context, session.place + by);
  else go(context, () => session.goInTime(session.position + by));
}

/** @param {ActionContext} context @param {number} place  in the list */
function goTo(context, place) {
  go(context, () => context.session.goTo(place));
}

/** @param {ActionContext} context @param {() => void} act */
function go(context, act) {
  const { session, player } = context;
  const before = session.position;
  player.stop();
  context.leaveSelection();
  act();
  if (session.position === before) context.tellEnd();
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
  // Where one only looks around, the picture of the list comes first.
  const from = session.position === session.listed ? 1 : 0;
  for (let step = from; step < order.length + from; step += 1) {
    const next = (place + step) % order.length;
    if (fits(order[next])) {
      player.stop();
      context.leaveSelection();
      if (order[next] === session.position) context.toast("This is the only one.");
      else session.goTo(next);
      return;
    }
  }
  context.toast(none);
}
