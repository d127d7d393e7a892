// What is in sight and selected: view, filter, place, selection. Independent of the page.

import {
  applyFilter,
  defaultFilter,
  fromParameters,
  sortedPositions,
  toParameters,
} from "./filters.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types").ClassName} ClassName */
/** @typedef {import("./suspicion.js").Suspicion} Suspicion */
/** @typedef {import("./filters.js").Filter} Filter */
/** @typedef {"overview" | "single" | "grid" | "review"} View */

/** @type {readonly View[]} */
export const VIEWS = ["overview", "single", "grid", "review"];

/**
 * What the page shows. `order` is the list of pictures of the filter, `place` where one is in it. The
 * picture shown is usually that one; in Single one can look around from it in time.
 *
 * Dispatches `place`, `order`, `selection`, `view`, `active`, `filter` and `read-only`.
 */
export class Session extends EventTarget {
  /** @param {Suspicion} suspicion */
  constructor(suspicion) {
    super();
    this.suspicion = suspicion;
    this.store = suspicion.store;
    this.findings = suspicion.findings;
    this.model = suspicion.model;
    /** @type {View} */
    this.view = "single";
    /** @type {ClassName} */
    this.active = "direction";
    this.filter = defaultFilter();
    /** @type {Int32Array} all positions, in the order of the filter */
    this.all = sortedPositions(suspicion, this.filter);
    /** @type {Int32Array} positions shown */
    this.order = this.all;
    /** @type {Uint8Array | null} 1 for positions shown; null until somebody asks */
    this.shown = null;
    /** Index into `order` of the picture shown, or from which one looks around. */
    this.place = 0;
    /** Position of the picture shown; -1 when none is. */
    this.position = this.order.length ? 0 : -1;
    /** Position shown last, for when nothing is shown. */
    this.lastPosition = 0;
    /** Position that the address names while the filter does not show it, else -1. */
    this.pendingPosition = -1;
    this.selected = new Uint8Array(this.store.count);
    this.selectedCount = 0;
    /** Position from which a selection extends. */
    this.anchor = 0;
    /** @type {number | null} position at which a range starts */
    this.rangeStart = null;
    this.readOnly = false;
  }

  /** Position of the picture of the list; -1 when it is empty. */
  get listed() {
    return this.order.length ? this.order[this.place] : -1;
  }

  /**
   * Go to a place in the list, or the nearest there is.
   * @param {number} wanted
   */
  goTo(wanted) {
    const place = Math.min(Math.max(wanted, 0), this.order.length - 1);
    if (place < 0 || (place === this.place && this.position === this.order[place])) return;
    this.pendingPosition = -1;
    this.#show(place, this.order[place]);
  }

  /**
   * Go to a picture, or the nearest there is, whether it is in the list or not.
   * @param {number} wanted  position
   */
  goInTime(wanted) {
    const position = Math.min(Math.max(wanted, 0), this.store.count - 1);
    if (position === this.position || this.position < 0) return;
    this.pendingPosition = -1;
    // In another order than that of time, one looks around from where one was in it.
    const place = this.filter.order === "time" ? this.#placeBefore(position) : this.place;
    this.#show(place, position);
  }

  /** @param {number} place @param {number} position */
  #show(place, position) {
    this.place = place;
    this.position = position;
    this.lastPosition = position;
    this.#emit("place");
  }

  /**
   * Return the place of a position in a list by time, or else of the one before it.
   * @param {number} position
   */
  #placeBefore(position) {
    const { order } = this;
    let [low, high] = [0, order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (order[middle] <= position) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  }

  /**
   * Return the position to go on with after the picture shown; -1 at the end of the list.
   *
   * Of the most suspicious ones, those that are reviewed by now are passed over.
   * @param {number} [after]  position of the last picture that is done
   */
  next(after = this.position) {
    const { order, place, store } = this;
    if (this.filter.order === "time") {
      const before = this.#placeBefore(after);
      return order[order[before] > after ? before : before + 1] ?? -1;
    }
    for (let next = place; next < order.length; next += 1) {
      if (order[next] !== this.position && !store.isReviewed(order[next])) return order[next];
    }
    return -1;
  }

  /**
   * Go to a picture of the list; return whether it is in it.
   * @param {number} position
   */
  goToPosition(position) {
    const place = this.order.indexOf(position);
    if (place >= 0) this.goTo(place);
    return place >= 0;
  }

  /** @param {View} view */
  showView(view) {
    if (view === this.view) return;
    this.view = view;
    // The grid shows the list alone.
    if (view === "grid") this.position = this.listed;
    this.#emit("view");
  }

  switchActive() {
    this.active = this.active === "direction" ? "speed" : "direction";
    this.#emit("active");
  }

  /**
   * Change a part of the filter.
   * @param {Partial<Filter>} change
   */
  refine(change) {
    const before = this.filter.order;
    this.pendingPosition = -1;
    this.filter = { ...this.filter, ...change };
    if (this.filter.order !== before || change.order) this.#sort();
    const wanted = this.position < 0 ? this.lastPosition : this.position;
    this.clearSelection();
    this.#reorder(wanted);
    if (this.filter.order === "suspicious" && before !== "suspicious") this.place = 0;
    this.#follow();
    this.#emit("filter");
  }

  #sort() {
    this.all = sortedPositions(this.suspicion, this.filter);
  }

  /**
   * Apply the filter again after labels have changed.
   * @param {number} wanted  position to be at in the list, or the next one that is in it
   * @param {"always" | "gone" | "never"} follow  when to show that one in place of the picture shown:
   *   gone: if the wanted one is not in the list; never: what one works on also stays selected
   */
  refresh(wanted, follow = "always") {
    const isThere = this.#reorder(wanted);
    const isShown = this.position >= 0 && (follow === "never" || (follow === "gone" && isThere));
    if (!isShown) this.#follow();
    else this.#emit("order");
    if (this.selectedCount && follow !== "never") {
      // A selected picture that the filter now hides must not be edited unseen.
      const kept = this.selection().filter((position) => this.isShown(position));
      this.selected.fill(0);
      for (const position of kept) this.selected[position] = 1;
      this.selectedCount = kept.length;
    }
    this.#emit("selection");
  }

  /** Apply order and filter again after more is known of the pictures. */
  applyFindings() {
    if (this.filter.order === "suspicious") this.#sort();
    const order = applyFilter(this.suspicion, this.filter, this.all);
    if (
      order.length === this.order.length &&
      order.every((position, place) => position === this.order[place])
    ) {
      // The grid stays where it was scrolled to.
      this.#emit("selection");
      return;
    }
    if (this.pendingPosition >= 0) {
      this.refresh(this.pendingPosition);
      if (this.position === this.pendingPosition) this.pendingPosition = -1;
    } else this.refresh(this.position < 0 ? this.lastPosition : this.listed, "gone");
  }

  /**
   * Make the list anew; return whether the wanted position is in it.
   * @param {number} wanted  position to be at, or the next one that is in it
   */
  #reorder(wanted) {
    this.order = applyFilter(this.suspicion, this.filter, this.all);
    this.shown = null;
    let place = this.order.indexOf(wanted);
    const isThere = place >= 0;
    if (!isThere) {
      // The filter hides the wanted picture: the next one that it shows takes its place.
      const shown = this.#shown();
      const next = this.all
        .subarray(this.all.indexOf(wanted))
        .find((position) => shown[position] === 1);
      place = next === undefined ? this.order.length - 1 : this.order.indexOf(next);
    }
    this.place = Math.max(place, 0);
    return isThere;
  }

  /** Show the picture of the list. */
  #follow() {
    this.position = this.listed;
    if (this.position >= 0) this.lastPosition = this.position;
    this.#emit("order");
  }

  /** Return 1 for each position that the filter shows. */
  #shown() {
    if (!this.shown) {
      this.shown = new Uint8Array(this.store.count);
      for (const position of this.order) this.shown[position] = 1;
    }
    return this.shown;
  }

  /**
   * Return whether the filter shows a picture.
   * @param {number} position
   */
  isShown(position) {
    return this.order === this.all || this.#shown()[position] === 1;
  }

  /** Return the selected positions, ascending. */
  selection() {
    const positions = new Int32Array(this.selectedCount);
    let found = 0;
    for (let position = 0; found < positions.length; position += 1) {
      if (this.selected[position]) positions[found++] = position;
    }
    return positions;
  }

  /** Return the positions that an edit applies to: the selection, else the picture shown. */
  targets() {
    if (this.selectedCount) return this.selection();
    return this.position < 0 ? new Int32Array(0) : Int32Array.of(this.position);
  }

  /** Start a range at the picture shown. */
  startRange() {
    this.clearSelection();
    this.rangeStart = this.position;
    this.anchor = this.position;
    this.#emit("selection");
  }

  /**
   * Select from one place in the list to another.
   * @param {number} from
   * @param {number} to
   */
  selectPlaces(from, to) {
    this.selected.fill(0);
    const [first, last] = from < to ? [from, to] : [to, from];
    for (let place = first; place <= last; place += 1) this.selected[this.order[place]] = 1;
    this.selectedCount = last - first + 1;
    this.#emit("selection");
  }

  /**
   * Select all pictures from one position to another that the filter shows.
   * @param {number} from
   * @param {number} to
   */
  selectTime(from, to) {
    this.selected.fill(0);
    this.selectedCount = 0;
    for (let position = Math.min(from, to); position <= Math.max(from, to); position += 1) {
      if (!this.isShown(position)) continue;
      this.selected[position] = 1;
      this.selectedCount += 1;
    }
    this.#emit("selection");
  }

  /**
   * Select from the anchor to a position that the filter shows, and go there.
   * @param {number} wanted
   */
  extendInTime(wanted) {
    const position = Math.min(Math.max(wanted, 0), this.store.count - 1);
    if (this.position < 0) return;
    if (!this.selectedCount) this.anchor = this.position;
    this.selectTime(this.anchor, position);
    this.goInTime(position);
  }

  /**
   * Select from the anchor to a place in the list, and go there.
   * @param {number} wanted
   */
  extendTo(wanted) {
    const place = Math.min(Math.max(wanted, 0), this.order.length - 1);
    if (place < 0) return;
    if (!this.selectedCount) this.anchor = this.position;
    const from = this.order.indexOf(this.anchor);
    this.selectPlaces(from < 0 ? this.place : from, place);
    this.goTo(place);
  }

  /**
   * Select a picture, or take it out of the selection.
   * @param {number} position
   */
  toggleSelected(position) {
    this.selected[position] ^= 1;
    this.selectedCount += this.selected[position] ? 1 : -1;
    this.anchor = position;
    this.#emit("selection");
  }

  clearSelection() {
    this.rangeStart = null;
    if (this.selectedCount) {
      this.selected.fill(0);
      this.selectedCount = 0;
    }
    this.#emit("selection");
  }

  /** @param {boolean} readOnly */
  setReadOnly(readOnly) {
    this.readOnly = readOnly;
    this.#emit("read-only");
  }

  /** Return the position to come back to: the way back into another order than that of time. */
  #leftPosition() {
    return this.filter.order === "time" ? this.position : this.listed;
  }

  /** Return view, picture and filter as the fragment of an address. */
  toHash() {
    const parameters = new URLSearchParams({ view: this.view });
    const position = this.pendingPosition >= 0 ? this.pendingPosition : this.#leftPosition();
    if (position >= 0) parameters.set("id", this.store.ids[position]);
    for (const [name, value] of toParameters(this.filter)) parameters.set(name, value);
    return `#${parameters}`;
  }

  /**
   * Go where such a fragment leads, as far as that is there.
   * @param {string} hash
   */
  openHash(hash) {
    const parameters = new URLSearchParams(hash.replace(/^#/, ""));
    this.refine(fromParameters(parameters));
    const position = this.store.ids.indexOf(parameters.get("id") ?? "");
    if (position >= 0 && !this.goToPosition(position)) {
      this.goInTime(position);
      this.pendingPosition = position;
    }
    const view = /** @type {View} */ (parameters.get("view"));
    if (VIEWS.includes(view)) this.showView(view);
  }

  /** @param {string} name */
  #emit(name) {
    this.dispatchEvent(new Event(name));
  }
}
