// What a click does: a button its action, a tile or a neighbour is gone to or selected.

/** @typedef {import("./session.js").View} View */

/**
 * @param {import("./session.js").Session} session @param {import("./player.js").Player} player
 * @param {import("./grid.js").Grid} grid @param {Record<string, (value: number) => void>} actions
 */
export function listenToMouse(session, player, grid, actions) {
  /** @param {number} place @param {MouseEvent} event */
  const choose = (place, event) => {
    player.stop();
    if (event.shiftKey) session.extendTo(place);
    else if (event.ctrlKey || event.metaKey) {
      session.toggleSelected(place);
      session.goTo(place);
    } else {
      session.clearSelection();
      session.anchor = session.order[place];
      session.goTo(place);
    }
  };

  document.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (!button) return;
    // A click leaves the keys where they were: Enter after it keeps a label, and presses nothing.
    if (event.detail > 0 && !button.closest("dialog")) button.blur();
    const { action, view, value, offset } = button.dataset;
    if (action) {
      if (value) player.stop(); // to label what is shown: no key comes up that would end painting
      actions[action](Number(value ?? -1));
    } else if (view) session.show(/** @type {View} */ (view));
    else if (offset) choose(session.place + Number(offset), event);
  });
  grid.scroller.addEventListener("click", (event) => {
    const place = grid.placeOf(event.target);
    if (place >= 0) choose(place, event);
  });
  grid.scroller.addEventListener("dblclick", (event) => {
    if (grid.placeOf(event.target) >= 0) session.show("single");
  });
  leaveFields();
}

/** So does a choice in a list or a box; one that is made with keys goes on there. */
function leaveFields() {
  /** @type {Element | null} the label whose field the mouse is in */
  let pointed = null;
  document.addEventListener("pointerdown", (event) => {
    pointed = /** @type {Element} */ (event.target).closest("label");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab") pointed = null;
  });
  document.addEventListener("change", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches("select, [type=checkbox]") && target.closest("label") === pointed)
      target.blur();
  });
}
