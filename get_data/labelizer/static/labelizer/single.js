// The Single view: one picture, large, with its label and its neighbours.

import { badges, classSign, shortLabel } from "./badges.js";
import { ComparisonView } from "./comparison_view.js";
import { afterPaint, byId, make, setText } from "./dom.js";
import { Curve } from "./curve.js";
import { angleOfDirection, nameOfClass, number, shareText } from "./format.js";
import { letterOf } from "./keys.js";
import { drawNeedles } from "./needles.js";
import { Overlay } from "./overlay.js";
import { positionsOf } from "./runs.js";
import { CLASS_NAMES, Flag, VALUE_OF } from "./store.js";

// Pictures to fetch before they are needed
const AHEAD = 8;
const BEHIND = 2;
const ASIDE = 3; // in time, from a picture of a list in another order
// In the strip, on each side
const NEIGHBOURS = 10;

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./pictures.js").Pictures} Pictures */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types").ClassName} ClassName */

export class Single {
  /**
   * @param {Session} session
   * @param {Pictures} pictures
   * @param {Map<string, string>} layout  what is printed on the keys, by event.code
   * @param {(position: number) => void} onBroken  called for a picture that cannot be decoded
   */
  constructor(session, pictures, layout, onBroken) {
    this.session = session;
    this.pictures = pictures;
    this.layout = layout;
    this.onBroken = onBroken;
    /** Group whose class buttons are shown. */
    this.group = -1;
    /** When the key was pressed whose picture is not painted yet, ms; 0 for none. */
    this.keyAt = 0;
    /** Whether strip and curve wait for the next frame, and the strip for other pictures. */
    this.surroundings = { areStale: false, haveMoved: false };
    this.overlay = new Overlay(session);
    const { comparison } = session.store;
    this.comparison = comparison && new ComparisonView(session, comparison);
    this.curve = new Curve(session);
    this.holder = byId("holder");
    this.tiles = Array.from({ length: 2 * NEIGHBOURS + 1 }, (_, index) =>
      this.#createTile(index - NEIGHBOURS),
    );
    byId("strip").append(...this.tiles.map((tile) => tile.button));
  }

  /** Render the picture that the session is at, and everything about it. */
  render() {
    const { position } = this.session;
    if (position < 0) {
      this.#clear();
      return;
    }
    this.#showPicture(position);
    this.surroundings.haveMoved = true;
    this.renderLabel();
    this.pictures.prefetch(this.#soon());
  }

  /** Return the positions that are likely to be shown next. */
  #soon() {
    const { order, place, position, store, filter } = this.session;
    const next = order.subarray(place + 1, place + 1 + AHEAD);
    const previous = order.subarray(Math.max(place - BEHIND, 0), place);
    if (filter.order === "time" && order.length === store.count) return [...next, ...previous];
    const first = Math.max(position - ASIDE, 0);
    const aside = positionsOf([[first, Math.min(position + ASIDE, store.count - 1)]]);
    return [...next, ...previous, ...aside];
  }

  /** Render the label of the picture. */
  renderLabel() {
    const { store, findings, position, selectedCount, suspicion, model } = this.session;
    const selected = selectedCount ? `${number(selectedCount)} selected · Esc` : "";
    for (const note of document.querySelectorAll("#label .chosen")) setText(note, selected);
    if (position < 0) return;
    if (this.group !== store.group[position]) this.#buildClasses(position);
    for (const attribute of CLASS_NAMES) this.#showClass(attribute, position);
    setText(byId("place"), placeText(this.session));
    setText(byId("img-id"), store.ids[position]);
    setText(
      byId("values"),
      CLASS_NAMES.map((name) => valueText(store, position, name)).join(" · "),
    );
    // A deletion has the stamp.
    const signs = badges(store, findings, position)
      .filter(({ kind }) => kind !== "deleted")
      .map(({ sign, text, kind }) => make("span", { class: `badge ${kind}` }, `${sign} ${text}`));
    const expected = model.predicted[position];
    setText(byId("model-value"), shareText(expected));
    byId("legend").classList.toggle("without-model", Number.isNaN(expected));
    const doubts = suspicion
      .reasons(position)
      .map(({ text }) => make("span", { class: "badge doubt" }, `≠ ${text}`));
    byId("badges").replaceChildren(...signs, ...doubts);
    this.#renderDeletion(store.now.deleted[position] === 1);
    this.overlay.draw(position);
    this.comparison?.renderLabel(position);
    this.#renderSurroundingsSoon();
  }

  /** Render strip and curve once the picture and its label are painted: they come first. */
  #renderSurroundingsSoon() {
    const { surroundings } = this;
    if (surroundings.areStale) return;
    surroundings.areStale = true;
    afterPaint(() => {
      surroundings.areStale = false;
      if (this.session.position >= 0) this.#renderStrip();
      this.curve.draw();
    });
  }

  /** @param {boolean} deleted */
  #renderDeletion(deleted) {
    byId("frame").classList.toggle("deleted", deleted);
    byId("stamp").hidden = !deleted;
    byId("delete").setAttribute("aria-pressed", String(deleted));
    byId("delete").title = deleted ? "Marked to delete; press again to keep it" : "";
  }

  /** Remove everything of the picture that was shown last. */
  #clear() {
    this.holder.replaceChildren();
    this.holder.dataset.position = "-1";
    byId("frame").classList.remove("waiting", "deleted");
    byId("frame").classList.add("empty");
    for (const id of ["placeholder", "stamp"]) byId(id).hidden = true;
    for (const id of ["place", "img-id", "values", "badges"]) setText(byId(id), "");
    for (const button of document.querySelectorAll("#label button, #delete")) {
      button.setAttribute("aria-pressed", "false");
      button.classList.remove("was");
    }
    for (const { button } of this.tiles) button.classList.add("none");
  }

  /** @param {number} position */
  #showPicture(position) {
    const image = this.pictures.decodedPicture(position);
    if (image) {
      this.#showImage(image, position);
      return;
    }
    byId("frame").classList.add("waiting");
    this.pictures.picture(position).then(
      (loaded) => {
        if (this.session.position === position) this.#showImage(loaded, position);
      },
      () => {
        const missing = this.session.store.flags[position] & Flag.MISSING;
        if (!missing) this.onBroken(position);
        if (this.session.position !== position) return;
        this.#showPlaceholder(
          missing ? "There is no picture." : "The picture is broken.",
          this.session.store.isNew(position)
            ? "It gets no label."
            : "Its label can be set or marked to delete all the same.",
        );
        this.#measure();
      },
    );
  }

  /** @param {HTMLImageElement} image @param {number} position */
  #showImage(image, position) {
    image.id = "picture";
    image.alt = `picture ${this.session.store.ids[position]}`;
    byId("frame").classList.remove("waiting", "empty");
    byId("placeholder").hidden = true;
    byId("frame").style.setProperty("--shape", `${image.naturalWidth} / ${image.naturalHeight}`);
    if (this.holder.firstChild !== image) this.holder.replaceChildren(image);
    this.holder.dataset.position = String(position);
    this.#measure();
  }

  /** @param {string} problem @param {string} remedy */
  #showPlaceholder(problem, remedy) {
    this.holder.replaceChildren();
    this.holder.dataset.position = String(this.session.position);
    byId("frame").classList.remove("waiting");
    byId("frame").classList.add("empty");
    byId("placeholder").replaceChildren(make("b", {}, problem), make("span", {}, remedy));
    byId("placeholder").hidden = false;
  }

  /** Measure the time from a key to the picture painted, for tests and benchmarks. */
  #measure() {
    const start = this.keyAt;
    if (!start) return;
    this.keyAt = 0;
    afterPaint(() => performance.measure("key-to-paint", { start, end: performance.now() }));
  }

  /**
   * Create a button for each class of a picture's group.
   * @param {number} position
   */
  #buildClasses(position) {
    const { store } = this.session;
    this.group = store.group[position];
    for (const attribute of CLASS_NAMES) {
      const classes = store.classes(position, attribute);
      const buttons = Array.from({ length: classes }, (_, value) =>
        this.#createClassButton(attribute, value, classes),
      );
      byId(attribute)
        .querySelector(".classes")
        ?.replaceChildren(...buttons);
    }
  }

  /**
   * @param {ClassName} attribute
   * @param {number} value
   * @param {number} classes  how many there are
   */
  #createClassButton(attribute, value, classes) {
    const letter = letterOf(attribute, value, this.layout);
    const button = make(
      "button",
      {
        type: "button",
        "data-action": attribute,
        "data-value": String(value),
        "aria-pressed": "false",
      },
      make("span", { class: "number" }, String(value)),
      make("span", { class: "name" }, nameOfClass(attribute, value, classes)),
      make("span", { class: "keys" }, ...(letter ? [make("kbd", {}, letter)] : [])),
    );
    const arrow = make(
      "span",
      { class: "arrow", "aria-hidden": "true" },
      attribute === "direction" ? "↑" : "»".repeat(value + 1),
    );
    if (attribute === "direction") {
      arrow.style.transform = `rotate(${angleOfDirection(value, classes)}deg)`;
    }
    button.prepend(arrow);
    return button;
  }

  /** @param {ClassName} attribute @param {number} position */
  #showClass(attribute, position) {
    const { store, active } = this.session;
    const group = byId(attribute);
    group.classList.toggle("active", active === attribute);
    for (const button of group.querySelectorAll("button")) {
      const value = Number(button.dataset.value);
      button.setAttribute("aria-pressed", String(store.now[attribute][position] === value));
      button.classList.toggle(
        "was",
        store.old[attribute][position] === value && store.now[attribute][position] !== value,
      );
    }
  }

  /** @param {number} offset */
  #createTile(offset) {
    const canvas = /** @type {HTMLCanvasElement} */ (make("canvas", { width: "80", height: "60" }));
    const needles = /** @type {HTMLCanvasElement} */ (
      make("canvas", { class: "needles", width: "80", height: "60" })
    );
    const caption = make("span", { class: "caption" });
    const button = make(
      "button",
      { type: "button", class: "neighbour", tabindex: "-1", "data-offset": String(offset) },
      make("span", { class: "photo" }, canvas, needles),
      caption,
    );
    if (offset === 0) button.setAttribute("aria-current", "true");
    return { offset, canvas, needles, caption, button };
  }

  #renderStrip() {
    if (this.surroundings.haveMoved) this.#renderNeighbours();
    this.surroundings.haveMoved = false;
    this.#renderCaptions();
  }

  #renderNeighbours() {
    const { position: shown, store } = this.session;
    const first = Math.max(shown - NEIGHBOURS, 0);
    const near = positionsOf([[first, Math.min(shown + NEIGHBOURS, store.count - 1)]]);
    const fromSheets = this.pictures.bestFromSheets(near);
    for (const { offset, canvas, button } of this.tiles) {
      const position = shown + offset;
      const isThere = position >= 0 && position < store.count;
      button.classList.toggle("none", !isThere);
      if (isThere) this.pictures.draw(canvas, position, fromSheets.has(position));
    }
  }

  #renderCaptions() {
    const { session } = this;
    const { store, findings, selected, suspicion } = session;
    for (const { offset, caption, button, needles } of this.tiles) {
      const position = session.position + offset;
      if (position < 0 || position >= store.count) continue;
      drawNeedles(needles, session, position);
      button.classList.toggle("suspicious", suspicion.isSuspicious(position));
      button.classList.toggle("unlisted", !session.isShown(position));
      const signs = badges(store, findings, position)
        .map((badge) => badge.sign)
        .join("");
      setText(caption, `${classSign(store.now.direction[position])} ${signs}`);
      button.classList.toggle("selected", selected[position] === 1);
      button.classList.toggle("deleted", store.now.deleted[position] === 1);
      button.title = `${store.ids[position]}: ${shortLabel(store.now, position)}`;
    }
  }
}

/**
 * Return steering or throttle of a label for people, with what the driver did where that differs.
 * @param {Store} store
 * @param {number} position
 * @param {ClassName} attribute
 */
function valueText(store, position, attribute) {
  const value = shareText(store.value(position, attribute));
  const driven = shareText(store.raw[attribute][position]);
  return `${VALUE_OF[attribute]} ${value}${driven === value ? "" : ` (driver ${driven})`}`;
}

/**
 * Return where in the list one is, and how far from there in time.
 * @param {Session} session
 */
function placeText({ place, order, position, listed }) {
  const text = `${number(place + 1)} of ${number(order.length)}`;
  if (position === listed || listed < 0) return order.length ? text : "not in the list";
  return position > listed
    ? `${text}, ${number(position - listed)} later`
    : `${text}, ${number(listed - position)} before`;
}
