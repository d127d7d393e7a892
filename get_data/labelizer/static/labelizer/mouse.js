// What a click does: run a button's action, go to a tile or neighbour, select.

/** @typedef {import("./session.js").View} View */

/**
 * @param {import("./session.js").Session} session
 * @param {import("./player.js").Player} player
 * @param {import("./grid.js").Grid} grid
 * @param {import("./action_context.js").Actions} actions
 */
export function listenToMouse(session, player, grid, actions) {
  /** Go to a picture of the grid, and select as the keys held say. @param {number} place @param {MouseEvent} event */
  const chooseTile = (place, event) => {
    if (event.shiftKey) session.extendTo(place);
    else {
      select(session.order[place], event);
      session.goTo(place);
    }
  };
  /** The same in time. @param {number} position @param {MouseEvent} event */
  const chooseNeighbour = (position, event) => {
    player.stop();
    if (event.shiftKey) session.extendInTime(position);
    else {
      select(position, event);
      session.goInTime(position);
    }
  };
  /** @param {number} position @param {MouseEvent} event */
  const select = (position, event) => {
    if (!(event.ctrlKey || event.metaKey)) {
      session.clearSelection();
      session.anchor = position;
    } else if (session.isShown(position)) session.toggleSelected(position);
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
    else if (offset) chooseNeighbour(session.position + Number(offset), event);
  });
  grid.scroller.addEventListener("click", (event) => {
    const place = grid.placeOf(event.target);
    if (place >= 0) chooseTile(place, event);
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
