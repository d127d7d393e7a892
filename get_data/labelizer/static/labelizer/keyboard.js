// What a key press does: keys.js says which action it means, actions.js what that does.

import { meaningOf } from "./keys.js";

/**
 * @param {import("./session.js").Session} session
 * @param {import("./player.js").Player} player
 * @param {import("./single.js").Single} single
 * @param {import("./action_context.js").Actions} actions
 */
export function listenToKeys(session, player, single, actions) {
  // event.code of the key that paints while it is held
  let paintingCode = "";

  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (isTyping(target)) {
      if (event.key === "Escape" && !target.closest("dialog")) target.blur();
      return;
    }
    const dialog = /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog[open]"));
    const meaning = meaningOf(event, session.view);
    if (dialog) {
      // The key that opened a dialog closes it: the action is named like the dialog.
      if (meaning?.binding.action === dialog.id) {
        event.preventDefault();
        dialog.close();
      }
      return;
    }
    if (!meaning || pressesFocused(event, target)) return;
    event.preventDefault();
    single.keyAt = event.timeStamp;
    const { painting } = player;
    actions[meaning.binding.action](meaning.value);
    if (player.painting !== painting) paintingCode = event.code;
  });
  document.addEventListener("keyup", (event) => {
    if (event.code === paintingCode) player.endPainting();
  });
  // The key may be released while another window has the focus.
  window.addEventListener("blur", () => player.endPainting());
}

/**
 * Return whether keys go into a field.
 * @param {HTMLElement} target
 */
function isTyping(target) {
  const isField = target.closest("input:not([type=checkbox]), select, textarea");
  // The field of a dialog that was just closed has the focus for one more frame.
  return isField !== null && !target.closest("dialog:not([open])");
}

/**
 * Return whether a key presses the button or box that was reached with Tab.
 * @param {KeyboardEvent} event
 * @param {HTMLElement} target
 */
function pressesFocused(event, target) {
  const isPress = event.key === "Enter" || event.key === " ";
  return isPress && target.closest("button, a, summary, [type=checkbox]") !== null;
}
