// The list of changes in the Review: a small picture beside each, with both needles.

import { classSign } from "./badges.js";
import { byId, make } from "./dom.js";
import { nameOfClass, shareText } from "./format.js";
import { needlePath } from "./overlay.js";
import { CLASS_NAMES, VALUE_OF } from "./store.js";

/** @typedef {import("./pictures.js").Pictures} Pictures */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types").ClassName} ClassName */

const PART = 50; // rows that are shown and removed together
const MARGIN = "800px"; // around what is in sight
const VISIBLE_STEP = 0.005; // of a value, in the digits shown

/** A virtual list: rows are in the page only while they are in sight, or nearly so. */
export class ChangeList {
  /**
   * @param {Session} session
   * @param {Pictures} pictures
   * @param {(position: number) => void} onShow  shows a picture
   */
  constructor(session, pictures, onShow) {
    this.session = session;
    this.pictures = pictures;
    this.onShow = onShow;
    /** @type {Map<Element, number[]>} positions by the part of the list that they are in */
    this.parts = new Map();
    this.observer = new IntersectionObserver((entries) => this.#onSeen(entries), {
      rootMargin: MARGIN,
    });
  }

  /** @param {number[]} positions  of all changes */
  render(positions) {
    this.observer.disconnect();
    this.parts.clear();
    for (let first = 0; first < positions.length; first += PART) {
      const shown = positions.slice(first, first + PART);
      const part = make("div", { class: "part", role: "presentation" });
      part.style.setProperty("--rows", String(shown.length));
      this.parts.set(part, shown);
    }
    const none = make("p", { class: "quiet" }, "Nothing has been changed yet.");
    byId("changes").replaceChildren(...(positions.length ? this.parts.keys() : [none]));
    for (const part of this.parts.keys()) this.observer.observe(part);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onSeen(entries) {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) target.replaceChildren();
      else if (!target.firstChild) this.#fill(target);
    }
  }

  /** @param {Element} part */
  #fill(part) {
    const positions = this.parts.get(part) ?? [];
    const fromSheets = this.pictures.bestFromSheets(positions);
    part.append(
      ...positions.map((position) => this.#createRow(position, fromSheets.has(position))),
    );
  }

  /** @param {number} position @param {boolean} fromSheet */
  #createRow(position, fromSheet) {
    const { store } = this.session;
    const canvas = /** @type {HTMLCanvasElement} */ (
      make("canvas", { width: "160", height: "120" })
    );
    this.pictures.draw(canvas, position, fromSheet);
    const picture = make(
      "div",
      { class: "change-picture" },
      canvas,
      createNeedles(store, position),
    );
    const link = make("button", { type: "button", class: "link" }, store.ids[position]);
    link.addEventListener("click", () => this.onShow(position));
    const changes = changesOf(store, position).map((text) => make("span", {}, text));
    return make(
      "div",
      { class: "change", role: "listitem", "data-change": String(position) },
      picture,
      make("div", {}, link, make("b", {}, kindOfChange(store, position)), ...changes),
    );
  }
}

/**
 * Return what was done to a label, with a sign.
 * @param {Store} store
 * @param {number} position
 */
function kindOfChange(store, position) {
  if (store.now.deleted[position]) return "✕ to delete";
  if (store.isUnlabelled(position)) return "○ incomplete";
  if (store.isNew(position)) return "+ new label";
  if (store.isEdited(position)) return "✎ changed";
  return store.now.reviewed[position] ? "✓ confirmed" : "kept again";
}

/**
 * Return classes and values of a label, with those before where they differ.
 * @param {Store} store
 * @param {number} position
 */
function changesOf(store, position) {
  return CLASS_NAMES.map((name) => {
    const [before, now] = [store.old, store.now].map((columns) =>
      className(store, position, name, columns[name][position]),
    );
    const text = before === now ? now : `${before} → ${now}`;
    return `${name} ${text}${valueChange(store, position, name)}`;
  });
}

/** @param {Store} store @param {number} position @param {ClassName} name @param {number} value */
function className(store, position, name, value) {
  if (value < 0) return "none";
  const classes = store.classes(position, name);
  return `${classSign(value)} ${nameOfClass(name, value, classes)}`.trim();
}

/** @param {Store} store @param {number} position @param {ClassName} name */
function valueChange(store, position, name) {
  const before = store.inFile[VALUE_OF[name]][position];
  const now = store.value(position, name);
  if (!(Math.abs(now - before) >= VISIBLE_STEP)) return "";
  return ` (${shareText(before)} → ${shareText(now)})`;
}

/**
 * Draw the steering before, dashed, and now.
 * @param {Store} store
 * @param {number} position
 */
function createNeedles(store, position) {
  const before = store.inFile.steering[position];
  const now = store.now.deleted[position] ? NaN : store.value(position, "direction");
  const { namespaceURI } = byId("overlay");
  const drawing = document.createElementNS(namespaceURI, "svg");
  drawing.setAttribute("viewBox", "0 0 100 75");
  drawing.setAttribute("aria-hidden", "true");
  const isMoved = !(Math.abs(now - before) < VISIBLE_STEP);
  for (const [kind, steering] of /** @type {const} */ ([
    ["edge", isMoved ? before : NaN],
    ["before", isMoved ? before : NaN],
    ["edge", now],
    ["now", now],
  ])) {
    const path = document.createElementNS(namespaceURI, "path");
    path.setAttribute("class", kind);
    path.setAttribute("d", needlePath(steering));
    drawing.append(path);
  }
  return drawing;
}
