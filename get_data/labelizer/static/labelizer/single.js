// One picture, large, with its label and its neighbours.

import { badges, classSign, shortLabel } from "./badges.js";
import { byId, make, setText } from "./dom.js";
import { letterOf } from "./keys.js";
import { Flag } from "./store.js";
import { reasons } from "./suspicion.js";
import { angleOf, nameOf } from "./words.js";

const AHEAD = 8;
const BEHIND = 2;
const NEIGHBOURS = 10;
const FOOT = { x: 50, y: 72 }; // of the needle, in the overlay's units
const NEEDLE = 34;

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./pictures.js").Pictures} Pictures */
/** @typedef {import("./store.js").ClassName} ClassName */

export class Single {
  /**
   * @param {Session} session @param {Pictures} pictures @param {Map<string, string>} layout
   * @param {(position: number) => void} onBroken
   */
  constructor(session, pictures, layout, onBroken) {
    this.session = session;
    this.pictures = pictures;
    this.layout = layout;
    this.onBroken = onBroken;
    this.group = -1;
    this.keyAt = 0; // when the key was pressed that led here, ms; 0 for none
    this.holder = byId("holder");
    this.tiles = Array.from({ length: 2 * NEIGHBOURS + 1 }, (_, index) =>
      this.#tile(index - NEIGHBOURS),
    );
    byId("strip").append(...this.tiles.map((tile) => tile.button));
  }

  /** The picture shown is that of the session, with everything about it. */
  render() {
    const { position, order, place } = this.session;
    if (position < 0) {
      this.#clear();
      return;
    }
    this.#showPicture(position);
    this.renderLabel();
    this.#renderStrip();
    const heading = order.subarray(place + 1, place + 1 + AHEAD);
    this.pictures.prefetch([...heading, ...order.subarray(Math.max(place - BEHIND, 0), place)]);
  }

  /** The label shown is that of the picture. */
  renderLabel() {
    const { store, looks, position, order, place, selectedCount } = this.session;
    const chosen = selectedCount ? `${selectedCount.toLocaleString("en")} selected · Esc` : "";
    for (const one of document.querySelectorAll("#label .chosen")) setText(one, chosen);
    if (position < 0) return;
    if (this.group !== store.group[position]) this.#buildClasses(position);
    for (const attribute of /** @type {ClassName[]} */ (["direction", "speed"]))
      this.#showClass(attribute, position);
    setText(
      byId("place"),
      `${(place + 1).toLocaleString("en")} of ${order.length.toLocaleString("en")}`,
    );
    setText(byId("img-id"), store.ids[position]);
    const [steering, throttle] = [store.steering[position], store.throttle[position]];
    const number = (/** @type {number} */ value) =>
      Number.isNaN(value) ? "–" : value.toFixed(2).replace("-", "−");
    setText(byId("driver"), `steering ${number(steering)} · throttle ${number(throttle)}`);
    // The stamp tells of a deletion.
    const signs = badges(store, looks, position)
      .filter(({ kind }) => kind !== "deleted")
      .map(({ sign, word, kind }) => make("span", { class: `badge ${kind}` }, `${sign} ${word}`));
    const doubts = reasons(store, looks, position).map(({ why }) =>
      make("span", { class: "badge doubt" }, `≠ ${why}`),
    );
    byId("badges").replaceChildren(...signs, ...doubts);
    const deleted = store.now.deleted[position] === 1;
    byId("frame").classList.toggle("deleted", deleted);
    byId("stamp").hidden = !deleted;
    byId("delete").setAttribute("aria-pressed", String(deleted));
    byId("delete").title = deleted ? "Marked to delete; press again to keep it" : "";
    this.#draw(position);
    this.#renderCaptions();
  }

  /** Nothing is left of the picture that was shown last. */
  #clear() {
    this.holder.replaceChildren();
    this.holder.dataset.position = "-1";
    byId("frame").classList.remove("waiting", "deleted");
    byId("frame").classList.add("empty");
    for (const id of ["placeholder", "stamp"]) byId(id).hidden = true;
    for (const id of ["place", "img-id", "driver", "badges"]) setText(byId(id), "");
    for (const button of document.querySelectorAll("#label button, #delete")) {
      button.setAttribute("aria-pressed", "false");
      button.classList.remove("was");
    }
    for (const { button } of this.tiles) button.classList.add("none");
  }

  /** @param {number} position */
  #showPicture(position) {
    const image = this.pictures.ready(position);
    if (image) {
      this.#put(image, position);
      return;
    }
    byId("frame").classList.add("waiting");
    this.pictures.picture(position).then(
      (loaded) => {
        if (this.session.position === position) this.#put(loaded, position);
      },
      () => {
        const missing = this.session.store.flags[position] & Flag.MISSING;
        if (!missing) this.onBroken(position);
        if (this.session.position !== position) return;
        this.#placeholder(
          missing ? "There is no picture." : "The picture is broken.",
          "Its label can be set or marked to delete all the same.",
        );
        this.#measure();
      },
    );
  }

  /** @param {HTMLImageElement} image @param {number} position */
  #put(image, position) {
    image.id = "picture";
    image.alt = `picture ${this.session.store.ids[position]}`;
    byId("frame").classList.remove("waiting", "empty");
    byId("placeholder").hidden = true;
    byId("frame").style.setProperty("--shape", `${image.naturalWidth} / ${image.naturalHeight}`);
    if (this.holder.firstChild !== image) this.holder.replaceChildren(image);
    this.holder.dataset.position = String(position);
    this.#measure();
  }

  /** @param {string} what @param {string} remedy */
  #placeholder(what, remedy) {
    this.holder.replaceChildren();
    this.holder.dataset.position = String(this.session.position);
    byId("frame").classList.remove("waiting");
    byId("frame").classList.add("empty");
    byId("placeholder").replaceChildren(make("b", {}, what), make("span", {}, remedy));
    byId("placeholder").hidden = false;
  }

  /** From the key to the picture painted: a measure that tests and benchmarks read. */
  #measure() {
    const start = this.keyAt;
    if (!start) return;
    this.keyAt = 0;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () =>
        performance.measure("key-to-paint", { start, end: performance.now() });
      channel.port2.postMessage(null);
    });
  }

  /** The raw steering as a needle, the class as a wedge, the throttle as a column. @param {number} position */
  #draw(position) {
    const { store } = this.session;
    const set = (/** @type {string} */ id, /** @type {string} */ path) =>
      byId(id).setAttribute("d", path);
    const point = (/** @type {number} */ share, /** @type {number} */ length) => {
      const angle = (share * Math.PI) / 3;
      return `${(FOOT.x + length * Math.sin(angle)).toFixed(1)} ${(FOOT.y - length * Math.cos(angle)).toFixed(1)}`;
    };
    const steering = store.steering[position];
    const needle = Number.isNaN(steering) ? "" : `M${FOOT.x} ${FOOT.y}L${point(steering, NEEDLE)}`;
    set("needle", needle);
    set("needle-edge", needle);
    const classes = store.classes(position, "direction");
    const direction = store.now.direction[position];
    const [from, to] = [(2 * direction) / classes - 1, (2 * (direction + 1)) / classes - 1];
    const steps = [0, 0.25, 0.5, 0.75, 1].map(
      (part) => `L${point(from + (to - from) * part, NEEDLE + 4)}`,
    );
    set("wedge", direction < 0 ? "" : `M${FOOT.x} ${FOOT.y}${steps.join("")}Z`);
    const throttle = store.throttle[position];
    set("throttle-frame", Number.isNaN(throttle) ? "" : "M94 40H97V72H94Z");
    const top = 72 - 32 * Math.min(Math.max(throttle, 0), 1);
    set("throttle-bar", Number.isNaN(throttle) ? "" : `M94 72V${top.toFixed(1)}H97V72Z`);
  }

  /** @param {number} position one button a class of its group */
  #buildClasses(position) {
    const { store } = this.session;
    this.group = store.group[position];
    for (const attribute of /** @type {ClassName[]} */ (["direction", "speed"])) {
      const classes = store.classes(position, attribute);
      const buttons = Array.from({ length: classes }, (_, value) =>
        this.#classButton(attribute, value, classes),
      );
      byId(attribute)
        .querySelector(".classes")
        ?.replaceChildren(...buttons);
    }
  }

  /** @param {ClassName} attribute @param {number} value @param {number} classes */
  #classButton(attribute, value, classes) {
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
      make("span", { class: "name" }, nameOf(attribute, value, classes)),
      make("span", { class: "keys" }, ...(letter ? [make("kbd", {}, letter)] : [])),
    );
    const arrow = make(
      "span",
      { class: "arrow", "aria-hidden": "true" },
      attribute === "direction" ? "↑" : "»".repeat(value + 1),
    );
    if (attribute === "direction") arrow.style.transform = `rotate(${angleOf(value, classes)}deg)`;
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
  #tile(offset) {
    const canvas = /** @type {HTMLCanvasElement} */ (make("canvas", { width: "80", height: "60" }));
    const caption = make("span", { class: "caption" });
    const button = make(
      "button",
      { type: "button", class: "neighbour", tabindex: "-1", "data-offset": String(offset) },
      canvas,
      caption,
    );
    if (offset === 0) button.setAttribute("aria-current", "true");
    return { offset, canvas, caption, button };
  }

  #renderStrip() {
    const { order, place } = this.session;
    const near = order.subarray(Math.max(place - NEIGHBOURS, 0), place + NEIGHBOURS + 1);
    const dense = this.pictures.dense(near);
    for (const { offset, canvas, button } of this.tiles) {
      const position = order[place + offset];
      button.classList.toggle("none", position === undefined);
      if (position !== undefined) this.pictures.draw(canvas, position, dense.has(position));
    }
    this.#renderCaptions();
  }

  #renderCaptions() {
    const { store, looks, order, place, selected } = this.session;
    for (const { offset, caption, button } of this.tiles) {
      const position = order[place + offset];
      if (position === undefined) continue;
      const signs = badges(store, looks, position)
        .map((badge) => badge.sign)
        .join("");
      setText(caption, `${classSign(store.now.direction[position])} ${signs}`);
      button.classList.toggle("selected", selected[position] === 1);
      button.classList.toggle("deleted", store.now.deleted[position] === 1);
      button.title = `${store.ids[position]}: ${shortLabel(store.now, position)}`;
    }
  }
}
