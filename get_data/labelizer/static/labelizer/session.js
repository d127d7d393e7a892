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
/** @typedef {import("./suspicion.js").PictureFindings} PictureFindings */
/** @typedef {import("./filters.js").Filter} Filter */
/** @typedef {"overview" | "single" | "grid" | "review"} View */

/** @type {readonly View[]} */
export const VIEWS = ["overview", "single", "grid", "review"];

/** Dispatches `place`, `order`, `selection`, `view`, `active`, `filter` and `read-only`. */
export class Session extends EventTarget {
  /**
   * @param {Store} store
   * @param {PictureFindings} findings
   */
  constructor(store, findings) {
    super();
    this.store = store;
    this.findings = findings;
    /** @type {View} */
    this.view = "single";
    /** @type {ClassName} */
    this.active = "direction";
    this.filter = defaultFilter();
    /** @type {Int32Array} all positions, in the order of the filter */
    this.all = sortedPositions(store, findings, this.filter);
    /** @type {Int32Array} positions shown */
    this.order = this.all;
    /** Index into `order` of the picture shown. */
    this.place = 0;
    /** Position shown last, for when nothing is shown. */
    this.lastPosition = 0;
    /** Position that the address names while the filter does not show it, else -1. */
    this.pendingPosition = -1;
    this.selected = new Uint8Array(store.count);
    this.selectedCount = 0;
    /** Position from which a selection extends. */
    this.anchor = 0;
    /** @type {number | null} position at which a range starts */
    this.rangeStart = null;
    this.readOnly = false;
  }

  /** Position of the picture shown; -1 when none is. */
  get position() {
    return this.order.length ? this.order[this.place] : -1;
  }

  /**
   * Go to a place in the order, or the nearest there is.
   * @param {number} wanted
   */
  goTo(wanted) {
    const place = Math.min(Math.max(wanted, 0), this.order.length - 1);
    if (place === this.place) return;
    this.pendingPosition = -1;
    this.place = Math.max(place, 0);
    this.#emit("place");
  }

  /**
   * Go to a picture if it is shown; return whether it is.
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
    if (this.filter.order !== before || change.order) {
      this.all = sortedPositions(this.store, this.findings, this.filter);
    }
    const wanted = this.position < 0 ? this.lastPosition : this.position;
    this.clearSelection();
    this.#reorder(wanted);
    this.#emit("filter");
  }

  /**
   * Apply the filter again after labels have changed.
   * @param {number} wanted  position to be at, if it is shown
   */
  refresh(wanted) {
    this.#reorder(wanted);
    if (this.selectedCount) {
      // A selected picture that the filter now hides must not be edited unseen.
      const kept = this.selection();
      this.selected.fill(0);
      for (const position of kept) this.selected[position] = 1;
      this.selectedCount = kept.length;
    }
    this.#emit("selection");
  }

  /** Apply order and filter again after more is known of the pictures. */
  applyFindings() {
    if (this.filter.order === "suspicious") {
      this.all = sortedPositions(this.store, this.findings, this.filter);
    }
    const order = applyFilter(this.store, this.findings, this.filter, this.all);
    if (
      order.length === this.order.length &&
      order.every((position, place) => position === this.order[place])
    ) {
      // The grid stays where it was scrolled to.
      this.#emit("selection");
      return;
    }
    this.refresh(
      this.pendingPosition >= 0
        ? this.pendingPosition
        : this.position < 0
          ? this.lastPosition
          : this.position,
    );
    if (this.position === this.pendingPosition) this.pendingPosition = -1;
  }

  /** @param {number} wanted */
  #reorder(wanted) {
    this.order = applyFilter(this.store, this.findings, this.filter, this.all);
    let place = this.order.indexOf(wanted);
    if (place < 0) {
      // The filter hides the wanted picture: the next one that it shows takes its place.
      const isShown = new Uint8Array(this.store.count);
      for (const position of this.order) isShown[position] = 1;
      const next = this.all
        .subarray(this.all.indexOf(wanted))
        .find((position) => isShown[position] === 1);
      place = next === undefined ? this.order.length - 1 : this.order.indexOf(next);
    }
    this.place = Math.max(place, 0);
    if (this.position >= 0) this.lastPosition = this.position;
    this.#emit("order");
  }

  /** Return the selected positions that are shown, ascending. */
  selection() {
    if (!this.selectedCount) return new Int32Array(0);
    return this.order.filter((position) => this.selected[position]).sort();
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
   * Select from one place in the order to another.
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
   * Select from the anchor to a place in the order, and go there.
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
   * Select the picture at a place in the order, or take it out of the selection.
   * @param {number} place
   */
  toggleSelected(place) {
    const position = this.order[place];
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

  /** Return view, picture and filter as the fragment of an address. */
  toHash() {
    const parameters = new URLSearchParams({ view: this.view });
    const position = this.pendingPosition >= 0 ? this.pendingPosition : this.position;
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
    if (position >= 0 && !this.goToPosition(position)) this.pendingPosition = position;
    const view = /** @type {View} */ (parameters.get("view"));
    if (VIEWS.includes(view)) this.showView(view);
  }

  /** @param {string} name */
  #emit(name) {
    this.dispatchEvent(new Event(name));
  }
}
