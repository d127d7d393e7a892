// What is special about a picture, as signs and words, so that nothing is told by colour alone.

import { Flag } from "./store.js";

/** @typedef {import("./store.js").Columns} Columns */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./suspicion.js").PictureFindings} PictureFindings */
/** @typedef {{sign: string, text: string, kind: string}} Badge */

/**
 * @param {Store} store
 * @param {PictureFindings} findings
 * @param {number} position
 */
export function badges(store, findings, position) {
  const flags = store.flags[position];
  /** @type {Badge[]} */
  const found = [];
  if (store.now.deleted[position]) found.push({ sign: "✕", text: "to delete", kind: "deleted" });
  if (store.isUnlabelled(position)) {
    const text = store.settled[position] ? "deleted before" : "no label";
    found.push({ sign: "○", text, kind: "unlabelled" });
  } else if (store.isNew(position)) {
    found.push({ sign: "+", text: "new label", kind: "edited" });
  } else if (store.isNobodys(position)) {
    found.push({ sign: "○", text: "not labelled", kind: "unlabelled" });
  } else if (store.isEdited(position)) {
    found.push({ sign: "✎", text: "changed", kind: "edited" });
  }
  if (store.now.reviewed[position]) found.push({ sign: "✓", text: "reviewed", kind: "reviewed" });
  if (store.isInvalid(position)) found.push({ sign: "!", text: "not valid", kind: "broken" });
  if (flags & Flag.MISSING) found.push({ sign: "?", text: "no picture", kind: "broken" });
  else if (flags & Flag.BROKEN || findings.broken.has(position)) {
    found.push({ sign: "⚡", text: "picture broken", kind: "broken" });
  }
  if (store.comparison?.differs(position)) {
    found.push({ sign: "≢", text: `differs from ${store.comparison.name}`, kind: "doubt" });
  }
  if (flags & Flag.PERSON) found.push({ sign: "☺", text: "by a person", kind: "person" });
  return found;
}

/**
 * Return a class as a sign; ? for an unknown one.
 * @param {number} value
 */
export function classSign(value) {
  return value < 0 ? "?" : String(value);
}

/**
 * Return direction and speed, such as "2 · 1".
 * @param {Columns} columns
 * @param {number} position
 */
export function shortLabel(columns, position) {
  return `${classSign(columns.direction[position])} · ${classSign(columns.speed[position])}`;
}
