// What a click does: run a button's action, go to a tile or neighbour, select.

/** @typedef {import("./session.js").View} View */

/**
 * @param {import("./session.js").Session} session
 * @param {import("./player.js").Player} player
 * @param {import("./grid.js").Grid} grid
 * @param {import("./action_context.js").Actions} actions
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
    // Keys go on meaning actions: Enter after a click confirms a label, and presses no button.
    if (event.detail > 0 && !button.closest("dialog")) button.blur();
    const { action, view, value, offset } = button.dataset;
    if (action) {
      // A click labels the picture shown: there is no key whose release would end painting.
      if (value) player.stop();
      actions[action](Number(value ?? -1));
    } else if (view) session.showView(/** @type {View} */ (view));
    else if (offset) choose(session.place + Number(offset), event);
  });
  grid.scroller.addEventListener("click", (event) => {
    const place = grid.placeOf(event.target);
    if (place >= 0) choose(place, event);
  });
  grid.scroller.addEventListener("dblclick", (event) => {
    if (grid.placeOf(event.target) >= 0) session.showView("single");
  });
  leaveFields();
}

/** Return the keys to the actions after a choice that the mouse made in a list or a box. */
function leaveFields() {
  /** @type {Element | null} label of the field that was clicked */
  let pointed = null;
  document.addEventListener("pointerdown", (event) => {
    pointed = /** @type {Element} */ (event.target).closest("label");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab") pointed = null;
  });
  document.addEventListener("change", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches("select, [type=checkbox]") && target.closest("label") === pointed) {
      target.blur();
    }
  });
}
