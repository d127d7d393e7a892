// What the page reports: the state of saving, bars that stay while something is wrong, toasts.

import { byId, make, setText } from "./dom.js";
import { count } from "./format.js";

/** @typedef {import("./outbox.js").Condition} Condition */
/** @typedef {import("./outbox.js").Outbox} Outbox */
/** @typedef {{text: string, run: () => void}} BarButton */

const TOAST_MS = 4000;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let fading;

/**
 * Show a text for a while.
 * @param {string} text
 */
export function toast(text) {
  const element = byId("toast");
  element.textContent = text;
  element.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => element.classList.remove("shown"), TOAST_MS);
}

/**
 * Show a bar until it is hidden; it takes the place of an earlier one of its name.
 * @param {string} name
 * @param {string} text
 * @param {BarButton} [button]
 */
export function showBar(name, text, button) {
  const content = [make("span", {}, text)];
  if (button) {
    const element = make("button", { type: "button" }, button.text);
    element.addEventListener("click", button.run);
    content.push(element);
  }
  const attributes = { class: `bar ${name}`, "data-bar": name, role: "alert" };
  const created = make("div", attributes, ...content);
  const shown = findBar(name);
  // Replacing it by the same would make a screen reader read it again.
  if (shown?.textContent === created.textContent) return;
  if (shown) shown.replaceWith(created);
  else byId("bars").append(created);
}

/** @param {string} name */
export function hideBar(name) {
  findBar(name)?.remove();
}

/** @param {string} name */
function findBar(name) {
  return document.querySelector(`#bars [data-bar="${name}"]`);
}

/**
 * Show how saving goes, and what to do where it does not.
 * @param {Outbox} outbox
 * @param {boolean} readOnly
 */
export function showCondition(outbox, readOnly) {
  const condition = shownCondition(outbox, readOnly);
  const state = byId("save-state");
  setText(state, saveStateText(condition, outbox.unsent));
  state.dataset.condition = condition;
  showProblem(condition, outbox);
  showStorageBar(outbox.canStore);
  showSourceBar(outbox.sourceChanged);
}

/** @param {Outbox} outbox @param {boolean} readOnly @returns {Condition} */
function shownCondition({ condition }, readOnly) {
  return readOnly && !["elsewhere", "locked", "refused"].includes(condition) ? "stale" : condition;
}

/** @param {Condition} condition @param {number} unsent */
function saveStateText(condition, unsent) {
  const readOnly = unsent ? `⚠ Read-only, ${unsent} unsent` : "Read-only";
  const texts = {
    saved: "✓ All saved",
    saving: unsent ? `… Saving ${unsent}` : "✓ All saved",
    offline: unsent ? `⚠ Offline, ${unsent} unsent` : "⚠ Offline",
    locked: unsent ? `⚠ Locked, ${unsent} unsent` : "⚠ Locked",
    full: `⚠ Not saved, ${unsent} unsent`,
    stale: readOnly,
    elsewhere: readOnly,
    refused: `⚠ ${unsent} refused`,
  };
  return texts[condition];
}

/**
 * Show the bar of a condition, and hide those of conditions that are over.
 * @param {Condition} condition
 * @param {Outbox} outbox
 */
function showProblem(condition, outbox) {
  for (const name of /** @type {const} */ (["full", "offline", "locked"])) {
    if (condition !== name) hideBar(name);
  }
  if (condition === "full") showBar("full", fullText(outbox));
  if (condition === "offline") showBar("offline", OFFLINE);
  if (condition === "locked") showBar("locked", lockedText(outbox));
  if (condition === "elsewhere") {
    hideBar("stale");
    showBar("work", elsewhereText(outbox), { text: "Open it", run: () => location.reload() });
  }
  if (condition === "refused") {
    const text = `The server refused what this page sent: ${outbox.message}.`;
    showBar("refused", text, refusedButton(outbox));
  }
}

const OFFLINE =
  "The server does not answer. You can go on: changes wait in this browser and are sent when it is " +
  "back. If the labelizer was stopped, start it again with the same port.";

/** @param {Outbox} outbox */
function fullText({ message, unsent }) {
  return `The server cannot save: ${message}. ${changesWait(unsent)} in this browser until it can.`;
}

/** @param {Outbox} outbox */
function lockedText({ message, unsent }) {
  return unsent ? `${message} ${changesWait(unsent)} in this browser until then.` : message;
}

/** @param {Outbox} outbox */
function elsewhereText({ unsent }) {
  const served = "Another folder is served here now, or this one was opened anew";
  const waiting = ` ${changesWait(unsent)} in this browser until its own folder is opened here again.`;
  return `${served}; this tab is read-only.${unsent ? waiting : ""}`;
}

/**
 * @param {number} unsent
 * @returns {string} such as "2 changes of this tab wait"
 */
export function changesWait(unsent) {
  return `${count(unsent, "change")} of this tab ${unsent === 1 ? "waits" : "wait"}`;
}

/** @param {Outbox} outbox @returns {BarButton} */
function refusedButton(outbox) {
  const reload = () => location.reload();
  if (!outbox.canDiscard) return { text: "Reload the page", run: reload };
  const text = `Discard ${count(outbox.unsent, "change")} and reload`;
  return { text, run: () => void outbox.discard().then(reload) };
}

/** @param {boolean} canStore */
function showStorageBar(canStore) {
  if (canStore) hideBar("unkept");
  else {
    showBar(
      "unkept",
      "This browser cannot store changes; its disk may be full. They are sent to the server all the " +
        "same: leave this page open until all is saved.",
    );
  }
}

/** @param {boolean} sourceChanged */
function showSourceBar(sourceChanged) {
  if (!sourceChanged) hideBar("source");
  else {
    showBar(
      "source",
      "The label file has changed since the labelizer read it. Your work is safe: stop the labelizer " +
        "and start it again, and it offers to carry the work over.",
    );
  }
}
