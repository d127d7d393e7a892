// What is being looked at and worked on: view, filter, place, selection. Knows nothing of the page.

import { everything, fromParameters, ordered, shown, toParameters } from "./filters.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Operation} Operation */
/** @typedef {import("./store.js").ClassName} ClassName */
/** @typedef {import("./suspicion.js").Looks} Looks */
/** @typedef {import("./filters.js").Filter} Filter */
/** @typedef {"overview" | "single" | "grid" | "review"} View */

/** @type {readonly View[]} */
export const VIEWS = ["overview", "single", "grid", "review"];

/** Tells its listeners of `place`, `order`, `selection`, `view`, `active`, `filter`. */
export class Session extends EventTarget {
  /** @param {Store} store @param {Looks} looks */
  constructor(store, looks) {
    super();
    this.store = store;
    this.looks = looks;
    /** @type {View} */
    this.view = "single";
    /** @type {ClassName} */
    this.active = "direction";
    this.filter = everything();
    /** @type {Int32Array} all positions in order */
    this.all = ordered(store, looks, this.filter);
    /** @type {Int32Array} those that are shown */
    this.order = this.all;
    this.place = 0; // in the order
    this.lastPosition = 0; // that was shown, for when nothing is
    this.awaited = -1; // position that the address names, while the filter does not show it
    this.selected = new Uint8Array(store.count);
    this.selectedCount = 0;
    this.anchor = 0; // position from which a selection extends
    /** @type {number | null} position at which a range was begun */
    this.rangeStart = null;
    this.readOnly = false;
  }

  /** The position shown, -1 when nothing is. */
  get position() {
    return this.order.length ? this.order[this.place] : -1;
  }

  /** @param {number} wanted place in the order; the nearest there is */
  goTo(wanted) {
    const place = Math.min(Math.max(wanted, 0), this.order.length - 1);
    if (place === this.place) return;
    this.awaited = -1;
    this.place = Math.max(place, 0);
    this.#tell("place");
  }

  /** @param {number} position @returns {boolean} whether it is shown */
  goToPosition(position) {
    const place = this.order.indexOf(position);
    if (place >= 0) this.goTo(place);
    return place >= 0;
  }

  /** @param {View} view */
  show(view) {
    if (view === this.view) return;
    this.view = view;
    this.#tell("view");
  }

  switchActive() {
    this.active = this.active === "direction" ? "speed" : "direction";
    this.#tell("active");
  }

  /** @param {Partial<Filter>} change */
  refine(change) {
    const before = this.filter.order;
    this.awaited = -1;
    this.filter = { ...this.filter, ...change };
    if (this.filter.order !== before || change.order)
      this.all = ordered(this.store, this.looks, this.filter);
    const wanted = this.position < 0 ? this.lastPosition : this.position;
    this.clearSelection();
    this.#reorder(wanted);
    this.#tell("filter");
  }

  /** The filter holds again after labels changed. @param {number} wanted position to be at, if shown */
  refresh(wanted) {
    this.#reorder(wanted);
    if (this.selectedCount) {
      const kept = this.selection();
      this.selected.fill(0);
      for (const position of kept) this.selected[position] = 1;
      this.selectedCount = kept.length;
    }
    this.#tell("selection");
  }

  /** Order and filter hold again after more is known of the pictures. */
  lookAgain() {
    if (this.filter.order === "suspicious") this.all = ordered(this.store, this.looks, this.filter);
    const order = shown(this.store, this.looks, this.filter, this.all);
    if (
      order.length === this.order.length &&
      order.every((position, place) => position === this.order[place])
    ) {
      this.#tell("selection"); // who scrolled the grid stays there
      return;
    }
    this.refresh(
      this.awaited >= 0 ? this.awaited : this.position < 0 ? this.lastPosition : this.position,
    );
    if (this.position === this.awaited) this.awaited = -1;
  }

  /** @param {number} wanted */
  #reorder(wanted) {
    this.order = shown(this.store, this.looks, this.filter, this.all);
    let place = this.order.indexOf(wanted);
    if (place < 0) {
      // What was to be shown went out: the next that is in takes its place.
      const isShown = new Uint8Array(this.store.count);
      for (const position of this.order) isShown[position] = 1;
      const next = this.all
        .subarray(this.all.indexOf(wanted))
        .find((position) => isShown[position] === 1);
      place = next === undefined ? this.order.length - 1 : this.order.indexOf(next);
    }
    this.place = Math.max(place, 0);
    if (this.position >= 0) this.lastPosition = this.position;
    this.#tell("order");
  }

  /** @returns {Int32Array} the selected positions that are shown, ascending */
  selection() {
    if (!this.selectedCount) return new Int32Array(0);
    return this.order.filter((position) => this.selected[position]).sort();
  }

  /** What an edit is of: the selection, else the picture shown. @returns {Int32Array} */
  targets() {
    if (this.selectedCount) return this.selection();
    return this.position < 0 ? new Int32Array(0) : Int32Array.of(this.position);
  }

  /** Selects from one place in the order to another. @param {number} from @param {number} to */
  selectPlaces(from, to) {
    this.selected.fill(0);
    const [first, last] = from < to ? [from, to] : [to, from];
    for (let place = first; place <= last; place += 1) this.selected[this.order[place]] = 1;
    this.selectedCount = last - first + 1;
    this.#tell("selection");
  }

  /** Selects from the anchor to the place given, and goes there. @param {number} wanted */
  extendTo(wanted) {
    const place = Math.min(Math.max(wanted, 0), this.order.length - 1);
    if (place < 0) return;
    if (!this.selectedCount) this.anchor = this.position;
    const from = this.order.indexOf(this.anchor);
    this.selectPlaces(from < 0 ? this.place : from, place);
    this.goTo(place);
  }

  /** @param {number} place in the order, selected or not any more */
  toggleSelected(place) {
    const position = this.order[place];
    this.selected[position] ^= 1;
    this.selectedCount += this.selected[position] ? 1 : -1;
    this.anchor = position;
    this.#tell("selection");
  }

  clearSelection() {
    this.rangeStart = null;
    if (this.selectedCount) {
      this.selected.fill(0);
      this.selectedCount = 0;
    }
    this.#tell("selection");
  }

  /** @param {boolean} readOnly */
  setReadOnly(readOnly) {
    this.readOnly = readOnly;
    this.#tell("read-only");
  }

  /** Where one is, as the part of an address behind #. */
  toHash() {
    const parameters = new URLSearchParams({ view: this.view });
    const position = this.awaited >= 0 ? this.awaited : this.position;
    if (position >= 0) parameters.set("id", this.store.ids[position]);
    for (const [name, value] of toParameters(this.filter)) parameters.set(name, value);
    return `#${parameters}`;
  }

  /** Goes where such a part says, as far as that is there. @param {string} hash */
  followHash(hash) {
    const parameters = new URLSearchParams(hash.replace(/^#/, ""));
    this.refine(fromParameters(parameters));
    const position = this.store.ids.indexOf(parameters.get("id") ?? "");
    if (position >= 0 && !this.goToPosition(position)) this.awaited = position;
    const view = /** @type {View} */ (parameters.get("view"));
    if (VIEWS.includes(view)) this.show(view);
  }

  /** @param {string} what */
  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}
