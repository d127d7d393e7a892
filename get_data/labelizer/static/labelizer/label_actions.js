// The actions of the key table's group Label.

import { count } from "./format.js";
import { sizeOf } from "./action_context.js";
import { modelText } from "./model.js";
import { Flag, VALUE_OF } from "./store.js";
import { lineThrough } from "./stretches.js";
import { canBeLabelled } from "./unlabelled.js";

const NUDGE = 0.02;
const SMOOTHED_PICTURES = 2; // on each side
const DIGITS = 6; // of a value that is nudged or smoothed

/** @typedef {import("./types").ClassName} ClassName */
/** @typedef {import("./types").Operation} Operation */
/** @typedef {import("./action_context.js").Actions} Actions */
/** @typedef {import("./action_context.js").ActionContext} ActionContext */

/** @param {ActionContext} context @returns {Actions} */
export function labelActions(context) {
  const { session } = context;
  return {
    label: (value) => setClass(context, session.active, value, true),
    direction: (value) => setClass(context, "direction", value, true),
    speed: (value) => setClass(context, "speed", value, session.active === "speed"),
    "switch-attribute": () => session.switchActive(),
    confirm: () => confirm(context),
    delete: () => toggleDeleted(context, true),
    "delete-stay": () => toggleDeleted(context, false),
    steer: (value) => setValues(context, "direction", "value", () => value),
    "value-down": () => nudge(context, -NUDGE),
    "value-up": () => nudge(context, NUDGE),
    smooth: () => smooth(context),
    straighten: () => straighten(context),
    "take-model": () => takeModel(context),
    "class-from-steering": () => classFromSteering(context),
    "shift-earlier": () => shift(context, -1),
    "shift-later": () => shift(context, 1),
  };
}

/**
 * Set a class of the pictures that pass while playing, of the selection, or of the picture shown.
 * @param {ActionContext} context
 * @param {ClassName} attribute
 * @param {number} value
 * @param {boolean} advance
 */
function setClass(context, attribute, value, advance) {
  const { session, store, player } = context;
  if (context.refusesEdits() || refusesFirstLabel(context)) return;
  const classes = store.classes(session.position, attribute);
  if (value >= classes) {
    context.toast(`There is no ${attribute} ${value}: it goes from 0 to ${classes - 1}.`);
  } else if (player.playing) {
    player.paint(attribute, value);
  } else if (session.selectedCount) {
    const { same, skipped } = targetsLikeShown(context);
    const operation = store.label(same, attribute, value);
    finishMany(context, operation, `${attribute} ${value}`, skipped);
  } else {
    const wasOpen = store.isUnlabelled(session.position);
    const operation = store.label(labellable(context, session.targets()), attribute, value);
    const isOpen = store.isUnlabelled(session.position);
    const missing = attribute === "direction" ? "speed" : "direction";
    // Whichever class completes a new label goes on.
    finish(context, operation, (advance || wasOpen) && !isOpen);
    if (isOpen) context.toast(`This is a new label: set its ${missing} too.`);
  }
}

/** @param {ActionContext} context */
function confirm(context) {
  const { session, store, player } = context;
  if (context.refusesEdits()) return;
  player.stop();
  const isMany = session.selectedCount > 0;
  const { same, skipped } = targetsLikeShown(context);
  const operation = store.confirm(same);
  if (isMany) finishMany(context, operation, "confirmed", skipped);
  else if (!store.hasBothClasses(session.position)) {
    const label = store.isNew(session.position)
      ? "There is no label yet"
      : "This label is incomplete";
    context.toast(`${label}: set direction and speed first.`);
  } else finish(context, operation, true);
}

/** @param {ActionContext} context @param {boolean} advance */
function toggleDeleted(context, advance) {
  if (context.refusesEdits()) return;
  context.player.stop();
  const { session, store } = context;
  const isMany = session.selectedCount > 0;
  const { same, skipped } = targetsLikeShown(context);
  if (same.every((position) => store.isNew(position))) {
    context.toast("The file has no label to delete here; undo takes a new one away.");
    return;
  }
  const operation = store.toggleDeleted(same);
  if (isMany) finishMany(context, operation, operation?.text ?? "marked to delete", skipped);
  else finish(context, operation, advance);
}

/** @param {ActionContext} context @param {number} by */
function nudge(context, by) {
  const { session, store } = context;
  setValues(context, session.active, "nudge", (position) =>
    Math.min(Math.max(store.value(position, session.active) + by, -1), 1),
  );
}

/** @param {ActionContext} context */
function smooth(context) {
  const { session, store } = context;
  if (context.refusesEdits()) return;
  if (session.selectedCount < 2) {
    context.toast("Select the pictures to smooth first: [ starts a range, ] ends it.");
    return;
  }
  setValues(context, session.active, "smooth", (position) =>
    store.average(position, session.active, SMOOTHED_PICTURES),
  );
}

/**
 * Draw a line through the selection, or through the picture shown, between its neighbours.
 * @param {ActionContext} context
 */
function straighten(context) {
  const { session, store } = context;
  if (context.refusesEdits()) return;
  const { same } = targetsLikeShown(context);
  const valueAt = lineThrough(store, same, session.active);
  if (!same.length || Number.isNaN(valueAt(same[0]))) {
    context.toast("There is no picture beside this one to draw a line from.");
    return;
  }
  setValues(context, session.active, "value", valueAt);
}

/**
 * Set the steering that the model expects, of each picture its own, and go on.
 * @param {ActionContext} context
 */
function takeModel(context) {
  const { session, store, player } = context;
  if (context.refusesEdits()) return;
  player.stop();
  const isMany = session.selectedCount > 0;
  const { predicted } = session.model;
  const { same, skipped } = targetsLikeShown(context);
  const known = same.filter((position) => !Number.isNaN(predicted[position]));
  if (!known.length) {
    const { isReady } = session.model;
    context.toast(isReady ? "The model does not know this picture." : modelText(session.model));
    return;
  }
  const values = Array.from(known, (position) => Number(predicted[position].toFixed(3)) + 0);
  const operation = store.setValues(known, "direction", values);
  if (!isMany) {
    finish(context, operation, true);
    return;
  }
  const next = session.next(known.at(-1));
  if (operation) context.services.commit(operation);
  session.clearSelection();
  session.refresh(next < 0 ? session.listed : next);
  tellMany(context, operation, "steering of the model", skipped);
}

/**
 * Set the class of the selection, or of the picture shown, to that of its steering, and stay.
 *
 * The steering is the label's own where it has one, else what the driver did.
 * @param {ActionContext} context
 */
function classFromSteering(context) {
  const { session, store, player } = context;
  if (context.refusesEdits()) return;
  player.stop();
  const isMany = session.selectedCount > 0;
  const { same, skipped } = targetsLikeShown(context);
  const hasOwn = (/** @type {number} */ position) =>
    Boolean(store.flags[position] & Flag.VALUED) || !Number.isNaN(store.now.steering[position]);
  const others = same.filter(
    (position) => !hasOwn(position) && store.otherClass(position, "direction") >= 0,
  );
  const values = Array.from(others, (position) => store.raw.direction[position]);
  const operation = store.setValues(others, "direction", values);
  if (isMany) finishMany(context, operation, "class of the steering", skipped);
  else if (operation) finish(context, operation, false);
  else context.toast("The class is that of the steering already.");
}

/**
 * Set steering or throttle of the selection, or of the picture shown, and stay.
 * @param {ActionContext} context
 * @param {ClassName} attribute
 * @param {"value" | "nudge" | "smooth"} kind
 * @param {(position: number) => number} valueAt  -1 .. 1
 */
function setValues(context, attribute, kind, valueAt) {
  const { session, store } = context;
  if (context.refusesEdits()) return;
  context.player.stop();
  const isMany = session.selectedCount > 0;
  const { same, skipped } = targetsLikeShown(context);
  const known = same.filter((position) => store.now[attribute][position] >= 0);
  const values = Array.from(known, (position) => Number(valueAt(position).toFixed(DIGITS)) + 0);
  const operation = store.setValues(known, attribute, values, kind);
  if (isMany) {
    // The next nudge is for the same pictures, also when the filter hides them from now on.
    finishMany(context, operation, `${VALUE_OF[attribute]} set`, skipped, "never");
    return;
  }
  finish(context, operation, false);
  if (!known.length) context.toast(`This label has no ${attribute} yet: set it first.`);
  else if (!operation) context.toast(`The ${VALUE_OF[attribute]} stays as it is.`);
}

/** @param {ActionContext} context @param {1 | -1} sign */
function shift(context, sign) {
  const { session, store } = context;
  if (context.refusesEdits()) return;
  if (!session.selectedCount) {
    context.toast("Select the pictures whose labels to move first: Ctrl+A selects all shown.");
    return;
  }
  const by = sign * context.services.shiftBy();
  const deletedBefore = store.counts.deleted;
  const operation = store.shift(session.selection(), by);
  if (!operation) return;
  finish(context, operation, false);
  const unlabelled = store.counts.deleted - deletedBefore;
  const moved = `${count(sizeOf(operation), "label")} moved ${Math.abs(by)} ${by < 0 ? "earlier" : "later"}`;
  const marked = unlabelled > 0 ? `, ${unlabelled} left without one are marked to delete` : "";
  context.toast(`${moved}${marked} (undo: Ctrl+Z)`);
}

/**
 * Return whether the picture shown gets no label because it is broken, and tell so.
 * @param {ActionContext} context
 */
function refusesFirstLabel(context) {
  const { session, store } = context;
  const isRefused =
    !session.selectedCount && !canBeLabelled(store, session.findings, session.position);
  if (isRefused) context.toast("The picture is broken: it gets no label.");
  return isRefused;
}

/**
 * Return those of the pictures that can have a label.
 * @param {ActionContext} context
 * @param {Int32Array} positions
 */
function labellable({ session, store }, positions) {
  return positions.filter((position) => canBeLabelled(store, session.findings, position));
}

/**
 * Return the pictures to edit that have the classes of the picture shown, and how many do not.
 * @param {ActionContext} context
 */
export function targetsLikeShown(context) {
  const { session, store } = context;
  const targets = labellable(context, session.targets());
  const same = store.withClassesOf(session.position, targets);
  return { same, skipped: targets.length - same.length };
}

/**
 * Commit an edit, null where it changes nothing, and go to the next picture if asked to.
 * @param {ActionContext} context
 * @param {Operation | null} operation
 * @param {boolean} advance
 */
export function finish(context, operation, advance) {
  const { session } = context;
  const next = advance ? session.next() : -1;
  if (operation) context.services.commit(operation);
  if (next >= 0) {
    if (operation) session.refresh(next);
    else session.goToPosition(next);
    return;
  }
  // A picture that was nudged stays in sight, also when the filter hides it from now on.
  if (operation) session.refresh(session.listed, advance ? "gone" : "never");
  if (advance) context.toast("This is the last picture shown.");
}

/**
 * Commit an edit of a selection and tell how many pictures it changed.
 * @param {ActionContext} context
 * @param {Operation | null} operation
 * @param {string} text     what was set
 * @param {number} skipped  pictures of other classes
 * @param {"gone" | "never"} [follow]  when to show another picture: see Session.refresh
 */
export function finishMany(context, operation, text, skipped, follow = "gone") {
  const { session } = context;
  if (operation) {
    context.services.commit(operation);
    session.refresh(session.listed, follow);
  }
  tellMany(context, operation, text, skipped);
}

/**
 * Tell how many pictures an edit of a selection changed.
 * @param {ActionContext} context
 * @param {Operation | null} operation
 * @param {string} text     what was set
 * @param {number} skipped  pictures of other classes
 */
function tellMany(context, operation, text, skipped) {
  const changed = operation ? sizeOf(operation) : 0;
  const others = skipped ? `, ${skipped} skipped: they have other classes` : "";
  const undo = changed ? " (undo: Ctrl+Z)" : "";
  context.toast(`${count(changed, "picture")} → ${text}${others}${undo}`);
}
