// The Grid view: all pictures of the filter as tiles. Only those in sight are in the page.

import { badges, classSign } from "./badges.js";
import { byId, make, setText } from "./dom.js";
import { count, nameOfClass, number } from "./format.js";
import { drawNeedles } from "./needles.js";

const GAP = 8;
const MIN_WIDTH = 148;
const CAPTION = 26;
const SETTLE_MS = 80; // after fast scrolling, until pictures are fetched

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./pictures.js").Pictures} Pictures */

/**
 * @typedef {object} Tile
 * @property {HTMLElement} element
 * @property {HTMLCanvasElement} canvas
 * @property {HTMLCanvasElement} needles
 * @property {Element} label
 * @property {Element} signs
 * @property {number} place  in the order; -1 for none
 */

export class Grid {
  /**
   * @param {Session} session
   * @param {Pictures} pictures
   */
  constructor(session, pictures) {
    this.session = session;
    this.pictures = pictures;
    this.scroller = byId("scroller");
    this.sizer = byId("sizer");
    /** @type {Tile[]} */
    this.pool = [];
    this.columns = 1;
    this.width = MIN_WIDTH;
    this.height = MIN_WIDTH;
    this.lastTop = 0;
    this.isFast = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.settling = undefined;
    this.scheduled = false;
    this.scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    new ResizeObserver(() => this.#onResize()).observe(this.scroller);
  }

  /** Render everything: the pictures, their order or the size may have changed. */
  render() {
    if (!this.scroller.clientWidth) return; // not in sight
    const inner = this.scroller.clientWidth - GAP;
    this.columns = Math.max(Math.floor(inner / (MIN_WIDTH + GAP)), 2);
    this.width = Math.floor(inner / this.columns) - GAP;
    this.height = Math.round(this.width * 0.75) + CAPTION;
    const rows = Math.ceil(this.session.order.length / this.columns);
    this.sizer.style.height = `${rows * (this.height + GAP) + GAP}px`;
    const needed = (Math.ceil(this.scroller.clientHeight / (this.height + GAP)) + 3) * this.columns;
    while (this.pool.length < needed) this.pool.push(this.#createTile());
    for (const tile of this.pool.splice(needed)) tile.element.remove();
    for (const tile of this.pool) tile.place = -1;
    this.#layOut();
  }

  /** Render the labels of the tiles. */
  renderLabels() {
    for (const tile of this.pool) if (tile.place >= 0) this.#renderLabel(tile);
    const { order, selectedCount } = this.session;
    if (!order.length) this.scroller.removeAttribute("aria-activedescendant");
    const selected = `${number(selectedCount)} selected`;
    setText(byId("grid-count"), selectedCount ? selected : count(order.length, "picture"));
  }

  /** Scroll to the picture that the session is at. */
  reveal() {
    const row = Math.floor(this.session.place / this.columns);
    const top = row * (this.height + GAP);
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + this.height + 2 * GAP > scrollTop + clientHeight) {
      this.scroller.scrollTop = top + this.height + 2 * GAP - clientHeight;
    }
    this.#layOut();
  }

  /**
   * Return the place in the order of the tile that an event is on, or -1.
   * @param {EventTarget | null} target
   */
  placeOf(target) {
    const element = /** @type {Element | null} */ (target)?.closest?.(".tile");
    return this.pool.find((tile) => tile.element === element)?.place ?? -1;
  }

  #onScroll() {
    const moved = Math.abs(this.scroller.scrollTop - this.lastTop);
    this.lastTop = this.scroller.scrollTop;
    this.isFast = moved > this.scroller.clientHeight;
    clearTimeout(this.settling);
    if (this.isFast) {
      this.settling = setTimeout(() => {
        this.isFast = false;
        for (const tile of this.pool) tile.place = -1;
        this.#layOut();
      }, SETTLE_MS);
    }
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.#layOut();
    });
  }

  #onResize() {
    if (!this.scroller.clientWidth) return;
    this.render();
    this.reveal();
  }

  /** Move the tiles to the rows in sight. */
  #layOut() {
    const { order } = this.session;
    const step = this.height + GAP;
    const firstRow = Math.max(Math.floor(this.scroller.scrollTop / step) - 1, 0);
    const first = firstRow * this.columns;
    const fromSheets = this.pictures.bestFromSheets(
      order.subarray(first, first + this.pool.length),
    );
    for (let offset = 0; offset < this.pool.length; offset += 1) {
      const place = first + offset;
      const tile = this.pool[place % this.pool.length];
      if (place >= order.length) {
        tile.place = -1;
        tile.element.hidden = true;
        continue;
      }
      if (tile.place === place) continue;
      tile.place = place;
      tile.element.hidden = false;
      const [row, column] = [Math.floor(place / this.columns), place % this.columns];
      tile.element.style.transform = `translate(${GAP + column * (this.width + GAP)}px, ${GAP + row * step}px)`;
      tile.element.style.width = `${this.width}px`;
      tile.element.style.height = `${this.height}px`;
      this.#draw(tile, order[place], fromSheets.has(order[place]));
    }
    this.renderLabels();
  }

  /**
   * @param {Tile} tile
   * @param {number} position
   * @param {boolean} fromSheet
   */
  #draw(tile, position, fromSheet) {
    if (this.isFast) this.pictures.drawIfReady(tile.canvas, position);
    else this.pictures.draw(tile.canvas, position, fromSheet);
  }

  /** @param {Tile} tile */
  #renderLabel(tile) {
    const { store, findings, order, place, selected } = this.session;
    const position = order[tile.place];
    drawNeedles(tile.needles, this.session, position);
    const found = badges(store, findings, position);
    const [direction, speed] = [store.now.direction[position], store.now.speed[position]];
    const name = nameOfClass("direction", direction, store.classes(position, "direction"));
    setText(tile.label, `${classSign(direction)} ${name} · ${classSign(speed)}`);
    setText(tile.signs, found.map((badge) => badge.sign).join(" "));
    const { element } = tile;
    element.classList.toggle("deleted", store.now.deleted[position] === 1);
    element.classList.toggle("current", tile.place === place);
    element.id = `tile-${tile.place}`;
    element.setAttribute("aria-selected", String(selected[position] === 1));
    const badgeTexts = found.map((badge) => badge.text).join(", ");
    element.setAttribute(
      "aria-label",
      `${tile.place + 1}: direction ${direction} ${name}, speed ${speed}${badgeTexts && `, ${badgeTexts}`}`,
    );
    element.title = store.ids[position];
    if (tile.place === place) this.scroller.setAttribute("aria-activedescendant", element.id);
  }

  /** @returns {Tile} */
  #createTile() {
    const canvas = /** @type {HTMLCanvasElement} */ (
      make("canvas", { width: "160", height: "120" })
    );
    const needles = /** @type {HTMLCanvasElement} */ (
      make("canvas", { class: "needles", width: "160", height: "120" })
    );
    const label = make("span", { class: "label" });
    const signs = make("span", { class: "signs" });
    const element = make(
      "div",
      { class: "tile", role: "option" },
      canvas,
      needles,
      make("div", { class: "caption" }, label, signs),
    );
    this.sizer.append(element);
    return { element, canvas, needles, label, signs, place: -1 };
  }
}
