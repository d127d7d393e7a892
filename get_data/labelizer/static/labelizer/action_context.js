// What the actions work on, and what several groups of them share.

/** @typedef {import("./player.js").Player} Player */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types").Operation} Operation */

/** An action of the key table; `value` is the class that the key stands for, else -1. */
/** @typedef {(value: number) => void} Action */
/** @typedef {Record<string, Action>} Actions */

/**
 * What the page provides to the actions.
 * @typedef {object} Services
 * @property {(operation: Operation) => void} commit  stores and sends it
 * @property {(text: string) => void} toast
 * @property {(dialog: "help" | "go-to") => void} openDialog
 * @property {() => void} togglePanel
 * @property {() => number} shiftBy  pictures to move labels by
 * @property {() => number} columns  of the grid
 * @property {() => boolean} zoomCurve  shows the whole drive, or a part of it again, if it is longer
 */

export const NOTHING_SHOWN = "No picture is shown: nothing fits the filter.";

export class ActionContext {
  /**
   * @param {Session} session
   * @param {Player} player
   * @param {Services} services
   */
  constructor(session, player, services) {
    this.session = session;
    this.store = session.store;
    this.player = player;
    this.services = services;
  }

  /** @param {string} text */
  toast(text) {
    this.services.toast(text);
  }

  /** Return whether labels cannot be edited now, and tell why. */
  refusesEdits() {
    const { readOnly, position } = this.session;
    if (readOnly) {
      this.toast(
        "This tab is read-only: another one is labelling. Take over, above, to label here.",
      );
    } else if (position < 0) this.toast(NOTHING_SHOWN);
    return readOnly || position < 0;
  }

  /** Tell why one cannot go further. */
  tellEnd() {
    const { place, order, position, store } = this.session;
    if (position < 0) this.toast(NOTHING_SHOWN);
    else if (place === 0) this.toast("This is the first picture shown.");
    else if (place === order.length - 1) this.toast("This is the last picture shown.");
    else if (position === 0) this.toast("This is the first picture.");
    else if (position === store.count - 1) this.toast("This is the last picture.");
    else this.toast("There is no further row.");
  }

  /** Drop the selection in Single, where most of it is out of sight: moving on ends it. */
  leaveSelection() {
    if (this.session.view === "single" && this.session.selectedCount) this.session.clearSelection();
  }
}

/**
 * Return the number of pictures that an operation changes.
 * @param {Operation} operation
 */
export function sizeOf(operation) {
  return operation.positions.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}
