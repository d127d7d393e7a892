// What became of the corrections of a round in the label file that came after it.

import { byId, make, setText } from "./dom.js";
import { count, number } from "./format.js";

/** @typedef {import("./types").RoundSummary} RoundSummary */

/**
 * Return whether the next round can start without a choice: nothing that was decided is lost.
 * @param {RoundSummary} round
 */
export function startsByItself({ applied, decided, lost }) {
  return lost === 0 && (applied > 0 || decided === 0);
}

/**
 * Return what became of the decisions, or becomes of them if they are carried over, as sentences.
 * @param {RoundSummary} round
 * @param {boolean} isDone
 */
export function roundTexts({ decided, applied, deleted, carried, lost, kept }, isDone) {
  const texts = [];
  if (applied) {
    const corrections = applied === 1 ? "correction is" : "corrections are";
    const gone = deleted ? ` (${count(deleted, "label")} deleted)` : "";
    texts.push(`Your ${number(applied)} ${corrections} in this file${gone}.`);
  } else texts.push(`${count(decided, "label")} had been worked on.`);
  if (carried) {
    const verb = isDone ? (carried === 1 ? "was" : "were") : "can be";
    const subject = applied ? `${number(carried)} more` : `${number(carried)} of them`;
    texts.push(`${subject} ${verb} carried over: same picture, same old label.`);
  }
  if (lost) {
    const reason = lost === 1 ? "it is gone or has" : "they are gone or have";
    const verb = isDone ? "could not" : "cannot";
    texts.push(`${number(lost)} ${verb}, because ${reason} another label now.`);
  }
  if (kept) {
    const verbs = kept === 1 ? ["label is", "stays"] : ["labels are", "stay"];
    texts.push(`${number(kept)} reviewed ${verbs[0]} the same and ${verbs[1]} reviewed.`);
  }
  return texts;
}

/**
 * Show on the overview what became of the work before, and return whether there is anything to say.
 * @param {RoundSummary | null} round
 */
export function showRound(round) {
  if (!round?.applied) return false;
  const [first, ...rest] = roundTexts(round, true);
  setText(byId("round-title"), first);
  byId("round-what").replaceChildren(
    ...rest.map((text) => make("span", {}, `${text} `)),
    `This is the next round; the earlier work is kept in ${round.archive}.`,
  );
  byId("round").hidden = false;
  return true;
}
