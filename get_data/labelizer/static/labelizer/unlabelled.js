// Pictures without a label: which of them can get one.

import { Flag } from "./store.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./suspicion.js").PictureFindings} PictureFindings */

/**
 * Return whether a picture can have a label: a broken one gets no first label.
 * @param {Store} store
 * @param {PictureFindings} findings
 * @param {number} position
 */
export function canBeLabelled(store, findings, position) {
  const isBroken = Boolean(store.flags[position] & Flag.BROKEN) || findings.broken.has(position);
  return !(store.isNew(position) && isBroken);
}

/**
 * Return whether a picture still waits for a person's label; not if its label was deleted before.
 * @param {Store} store
 * @param {PictureFindings} findings
 * @param {number} position
 */
export function isToBeLabelled(store, findings, position) {
  return (
    (store.isUnlabelled(position) || store.isNobodys(position)) &&
    !store.settled[position] &&
    canBeLabelled(store, findings, position)
  );
}
