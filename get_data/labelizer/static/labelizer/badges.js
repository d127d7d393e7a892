// What is special about a picture, as signs and words, so that nothing is told by colour alone.

import { Flag } from "./store.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./suspicion.js").Looks} Looks */

/**
 * @param {Store} store @param {Looks} looks @param {number} position
 * @returns {{sign: string, word: string, kind: string}[]}
 */
export function badges(store, looks, position) {
  const flags = store.flags[position];
  const found = [];
  if (store.now.deleted[position]) found.push({ sign: "✕", word: "to delete", kind: "deleted" });
  if (store.isEdited(position)) found.push({ sign: "✎", word: "changed", kind: "edited" });
  if (store.now.reviewed[position]) found.push({ sign: "✓", word: "reviewed", kind: "reviewed" });
  if (store.isInvalid(position)) found.push({ sign: "!", word: "not valid", kind: "broken" });
  if (flags & Flag.MISSING) found.push({ sign: "?", word: "no picture", kind: "broken" });
  else if (flags & Flag.BROKEN || looks.broken.has(position)) {
    found.push({ sign: "⚡", word: "picture broken", kind: "broken" });
  }
  if (flags & Flag.PERSON) found.push({ sign: "☺", word: "by a person", kind: "person" });
  return found;
}

/** @param {number} value a class, ? for one that is unknown */
export function classSign(value) {
  return value < 0 ? "?" : String(value);
}

/** @param {import("./store.js").Columns} columns @param {number} position direction and speed, e.g. "2 · 1" */
export function shortLabel(columns, position) {
  return `${classSign(columns.direction[position])} · ${classSign(columns.speed[position])}`;
}
