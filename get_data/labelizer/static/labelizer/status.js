// What the page says: how saving goes, bars that stay while something is wrong, passing words.

import { byId, make, setText } from "./dom.js";
import { count } from "./words.js";

const TOAST_MS = 4000;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let fading;

/** @param {string} text is shown for a while */
export function say(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => toast.classList.remove("shown"), TOAST_MS);
}

/**
 * A bar stays until it is dropped; one of each name.
 * @param {string} name @param {string} text @param {{text: string, run: () => void}} [button]
 */
export function bar(name, text, button) {
  const there = document.querySelector(`#bars [data-bar="${name}"]`);
  const content = [make("span", {}, text)];
  if (button) {
    const element = make("button", { type: "button" }, button.text);
    element.addEventListener("click", button.run);
    content.push(element);
  }
  const made = make("div", { class: `bar ${name}`, "data-bar": name, role: "alert" }, ...content);
  if (there?.textContent === made.textContent) return;
  if (there) there.replaceWith(made);
  else byId("bars").append(made);
}

/** @param {string} name */
export function dropBar(name) {
  document.querySelector(`#bars [data-bar="${name}"]`)?.remove();
}

/** @param {import("./outbox.js").Outbox} outbox @param {boolean} readOnly */
export function showCondition(outbox, readOnly) {
  const { unsent, message } = outbox;
  const condition =
    readOnly && !["elsewhere", "locked", "refused"].includes(outbox.condition)
      ? "stale"
      : outbox.condition;
  const state = byId("save-state");
  const words = {
    saved: "✓ All saved",
    saving: unsent ? `… Saving ${unsent}` : "✓ All saved",
    offline: unsent ? `⚠ Offline, ${unsent} unsent` : "⚠ Offline",
    locked: unsent ? `⚠ Locked, ${unsent} unsent` : "⚠ Locked",
    full: `⚠ Not saved, ${unsent} unsent`,
    stale: unsent ? `⚠ Read-only, ${unsent} unsent` : "Read-only",
    elsewhere: unsent ? `⚠ Read-only, ${unsent} unsent` : "Read-only",
    refused: `⚠ ${unsent} refused`,
  };
  setText(state, words[condition]);
  state.dataset.condition = condition;
  if (condition === "full")
    bar(
      "full",
      `The server cannot save: ${message}. ${count(unsent, "change")} wait in this browser and are sent as soon as it can.`,
    );
  else dropBar("full");
  if (condition === "offline")
    bar(
      "offline",
      "The server does not answer. Go on: changes wait in this browser and are sent when it is back. Was it ended? Start it again with the same port.",
    );
  else dropBar("offline");
  if (condition === "locked")
    bar(
      "locked",
      `${message} ${unsent ? `${count(unsent, "change")} wait in this browser and are sent then.` : ""}`,
    );
  else dropBar("locked");
  if (condition === "elsewhere") {
    const waiting = unsent
      ? ` ${count(unsent, "change")} of this tab wait in this browser, and are sent when its own folder is served and opened here.`
      : "";
    dropBar("stale");
    bar(
      "work",
      `Another folder is served here now, or this one was opened anew; this tab only shows.${waiting}`,
      { text: "Open it", run: () => location.reload() },
    );
  }
  if (condition === "refused") {
    const reload = { text: "Open the page again", run: () => location.reload() };
    const forget = {
      text: `Forget ${count(unsent, "change")} and reload`,
      run: () => void outbox.discard().then(reload.run),
    };
    bar(
      "refused",
      `The server does not take what this page sent: ${message}.`,
      outbox.mayForget ? forget : reload,
    );
  }
  if (outbox.canKeep) dropBar("unkept");
  else
    bar(
      "unkept",
      "This browser cannot keep changes: its disk is full, say. They are sent to the server all the same; leave this page open until all is saved.",
    );
  if (outbox.sourceChanged)
    bar(
      "source",
      "The label file has changed since the labelizer read it. Your work is safe: end the labelizer and start it again, it offers to carry the work over.",
    );
  else dropBar("source");
}
