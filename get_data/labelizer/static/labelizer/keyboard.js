// What a key press does: keys.js says which action it means, actions.js what that does.

import { meaningOf } from "./keys.js";

/**
 * @param {import("./session.js").Session} session @param {import("./player.js").Player} player
 * @param {import("./single.js").Single} single @param {Record<string, (value: number) => void>} actions
 */
export function listenToKeys(session, player, single, actions) {
  let paintingCode = ""; // of the key that paints

  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    // The field of a dialog that was just closed has the focus for one more frame.
    if (
      target.closest("input:not([type=checkbox]), select, textarea") &&
      !target.closest("dialog:not([open])")
    ) {
      if (event.key === "Escape" && !target.closest("dialog")) target.blur();
      return;
    }
    const dialog = /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog[open]"));
    const meaning = meaningOf(event, session.view);
    if (dialog) {
      // The key that opened it, an action of its name, closes it again.
      if (meaning?.binding.action === dialog.id) {
        event.preventDefault();
        dialog.close();
      }
      return;
    }
    // A button or a box that was reached with Tab is pressed, not passed over.
    const presses = event.key === "Enter" || event.key === " ";
    if (!meaning || (presses && target.closest("button, a, summary, [type=checkbox]"))) return;
    event.preventDefault();
    single.keyAt = event.timeStamp;
    const { painting } = player;
    actions[meaning.binding.action](meaning.value);
    if (player.painting !== painting) paintingCode = event.code;
  });
  document.addEventListener("keyup", (event) => {
    if (event.code === paintingCode) player.endPainting();
  });
  window.addEventListener("blur", () => player.endPainting());
}
