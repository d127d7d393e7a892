// The side panel: progress, counts of classes, filters, selection, the label as the file has it.

import { get } from "./api.js";
import { byId, field, make, setText } from "./dom.js";
import { CAPTURES, ORDERS, STATES, defaultFilter } from "./filters.js";
import { count, nameOfClass, number, percent } from "./format.js";
import { modelText } from "./model.js";
import { CLASS_NAMES } from "./store.js";

const PACE_WINDOW_MS = 5 * 60_000;

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./filters.js").Order} Order */
/** @typedef {import("./types").CaptureName} CaptureName */
/** @typedef {import("./types").ClassName} ClassName */
/** @typedef {{button: HTMLElement, before: HTMLElement, now: HTMLElement, numbers: Element}} Row */

export class Panel {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    /** @type {number[]} when pictures were reviewed lately, ms */
    this.times = [];
    this.lastReviewed = session.store.counts.reviewed;
    /** @type {Record<ClassName, Row[]>} */
    this.rows = { direction: this.#createRows("direction"), speed: this.#createRows("speed") };
    byId("filter-state").append(...this.#createStates());
    for (const name of CAPTURES) this.#fillCapture(name);
    for (const [key, name] of Object.entries(ORDERS)) {
      byId("filter-order").append(make("option", { value: key }, name));
    }
    this.#listen();
  }

  renderCounts() {
    const { store } = this.session;
    const { reviewed } = store.counts;
    setText(
      byId("progress-count"),
      `${number(reviewed)} of ${number(store.count)} reviewed, ${percent(reviewed, store.count)}`,
    );
    for (const id of ["progress-bar", "overview-bar"]) {
      const bar = /** @type {HTMLProgressElement} */ (byId(id));
      bar.max = store.count;
      bar.value = reviewed;
    }
    this.#renderPace(reviewed);
    for (const attribute of CLASS_NAMES) this.#renderHistogram(attribute);
    if (this.session.model.isReady) this.renderModel();
  }

  /** Show how many labels look wrong, or how far the search for them is. */
  renderModel() {
    const { model, suspicion } = this.session;
    const found = model.isReady ? suspicion.count() : { wrong: 0, doubtful: 0 };
    const text = model.isReady ? suspectsText(found) : modelText(model);
    for (const each of document.querySelectorAll(".suspects-text")) setText(each, text);
    for (const card of document.querySelectorAll(".suspects")) {
      card.toggleAttribute("hidden", model.status === "none");
    }
    for (const button of document.querySelectorAll("[data-action=start-suspicious]")) {
      button.toggleAttribute("hidden", found.wrong + found.doubtful === 0);
    }
    for (const bar of document.querySelectorAll("progress.suspects-bar")) {
      bar.toggleAttribute("hidden", model.status !== "computing");
      bar.setAttribute("max", String(Math.max(model.total, 1)));
      bar.setAttribute("value", String(model.done));
    }
  }

  /** @param {number} reviewed */
  #renderPace(reviewed) {
    const now = performance.now();
    for (let more = this.lastReviewed; more < reviewed; more += 1) this.times.push(now);
    this.lastReviewed = reviewed;
    this.times = this.times.filter((time) => now - time < PACE_WINDOW_MS);
    const minutes = Math.max((now - (this.times[0] ?? now)) / 60_000, 0.25);
    setText(
      byId("pace"),
      this.times.length > 1 ? `${Math.round(this.times.length / minutes)} a minute` : "",
    );
  }

  /** @param {ClassName} attribute */
  #renderHistogram(attribute) {
    const { counts } = this.session.store;
    const [before, now] = [counts.before[attribute], counts.now[attribute]];
    const most = Math.max(...before, ...now, 1);
    this.rows[attribute].forEach((row, value) => {
      row.before.style.width = `${(100 * before[value]) / most}%`;
      row.now.style.width = `${(100 * now[value]) / most}%`;
      const text =
        before[value] === now[value]
          ? number(now[value])
          : `${number(before[value])} → ${number(now[value])}`;
      setText(row.numbers, text);
      row.button.dataset.before = String(before[value]);
      row.button.dataset.now = String(now[value]);
    });
  }

  renderFilter() {
    const { filter, order, position, model } = this.session;
    setText(byId("shown-count"), count(order.length, "picture"));
    const isDone =
      model.isReady && (filter.order === "suspicious" || filter.state.includes("suspicious"));
    for (const message of document.querySelectorAll(".nothing")) {
      message.toggleAttribute("hidden", position >= 0);
      const text = isDone ? "✓ No more labels look wrong." : "Nothing fits the filter.";
      setText(/** @type {Element} */ (message.querySelector("b")), text);
    }
    for (const button of document.querySelectorAll("[data-state]")) {
      const isOn = filter.state.includes(button.getAttribute("data-state") ?? "");
      button.setAttribute("aria-pressed", String(isOn));
    }
    for (const name of CAPTURES) field(`filter-${name}`).value = String(filter.captures[name]);
    field("filter-order").value = filter.order;
    // A field that is being typed into is left alone.
    if (document.activeElement !== byId("filter-text")) field("filter-text").value = filter.text;
    for (const name of /** @type {const} */ (["steering", "throttle"])) {
      ["from", "to"].forEach((end, index) => {
        const input = field(`${name}-${end}`);
        if (document.activeElement !== input) input.value = String(filter[name][index]);
      });
    }
    for (const attribute of CLASS_NAMES) {
      this.rows[attribute].forEach((row, value) => {
        row.button.setAttribute("aria-pressed", String(filter[attribute].includes(value)));
      });
    }
  }

  renderSelection() {
    const { selectedCount, rangeStart, store } = this.session;
    const range = rangeStart === null ? "" : `from ${store.ids[rangeStart]} …`;
    setText(byId("selected-count"), selectedCount ? count(selectedCount, "picture") : range);
  }

  /** Show the label as the file has it; it is fetched only while that part is open. */
  async renderJson() {
    const { position } = this.session;
    if (!(/** @type {HTMLDetailsElement} */ (byId("json")).open) || position < 0) return;
    try {
      const document = await get(`/api/document/${position}`);
      if (this.session.position === position) {
        setText(byId("json-text"), document ? JSON.stringify(document, null, 1) : "It has none.");
      }
    } catch (error) {
      setText(byId("json-text"), String(error));
    }
  }

  /** @param {ClassName} attribute @returns {Row[]} */
  #createRows(attribute) {
    const { store } = this.session;
    const classes = store.mostClasses(attribute);
    const names = store.groups.length === 1;
    const rows = Array.from({ length: classes }, (_, value) => {
      const before = make("span", { class: "before" });
      const now = make("span", { class: "now" });
      const numbers = make("span", { class: "numbers" });
      const name = `${value} ${names ? nameOfClass(attribute, value, classes) : ""}`;
      const button = make(
        "button",
        {
          type: "button",
          class: "bar-row",
          "data-filter": attribute,
          "data-value": String(value),
          "aria-pressed": "false",
        },
        make("span", { class: "name" }, name),
        make("span", { class: "bars" }, before, now),
        numbers,
      );
      button.addEventListener("click", () => this.#toggleClass(attribute, value));
      return { button, before, now, numbers };
    });
    byId(`histogram-${attribute}`).append(
      make("h3", {}, attribute === "direction" ? "Direction" : "Speed"),
      ...rows.map((row) => row.button),
    );
    return rows;
  }

  /** Create a button for each state. */
  #createStates() {
    return Object.entries(STATES).map(([state, { name }]) => {
      const attributes = { type: "button", "data-state": state, "aria-pressed": "false" };
      const button = make("button", attributes, name);
      button.addEventListener("click", () => this.#toggleState(state));
      return button;
    });
  }

  /** @param {string} state */
  #toggleState(state) {
    const chosen = this.session.filter.state;
    const others = chosen.filter((other) => other !== state);
    this.session.refine({ state: others.length === chosen.length ? [...chosen, state] : others });
  }

  /** Fill the list of drives, drivers or days; one that leaves no choice is hidden. @param {CaptureName} name */
  #fillCapture(name) {
    const { names } = this.session.store.captures[name];
    const options = names.map((text, index) =>
      make("option", { value: String(index) }, text || "unknown"),
    );
    byId(`filter-${name}`).append(make("option", { value: "-1" }, "all"), ...options);
    byId(`filter-${name}`)
      .closest("label")
      ?.toggleAttribute("hidden", names.length < 2);
  }

  /** @param {ClassName} attribute @param {number} value */
  #toggleClass(attribute, value) {
    const chosen = this.session.filter[attribute];
    const others = chosen.filter((other) => other !== value);
    const next = others.length === chosen.length ? [...chosen, value].sort() : others;
    this.session.refine({ [attribute]: next });
  }

  #listen() {
    const { session } = this;
    const on = (
      /** @type {string} */ id,
      /** @type {string} */ event,
      /** @type {() => void} */ run,
    ) => byId(id).addEventListener(event, run);
    for (const name of CAPTURES) {
      on(`filter-${name}`, "change", () =>
        session.refine({
          captures: { ...session.filter.captures, [name]: Number(field(`filter-${name}`).value) },
        }),
      );
    }
    on("filter-order", "change", () =>
      session.refine({ order: /** @type {Order} */ (field("filter-order").value) }),
    );
    on("filter-text", "input", () => session.refine({ text: field("filter-text").value.trim() }));
    for (const name of /** @type {const} */ (["steering", "throttle"])) {
      for (const end of ["from", "to"]) {
        on(`${name}-${end}`, "change", () => session.refine({ [name]: this.#limits(name) }));
      }
    }
    for (const button of document.querySelectorAll(".show-all")) {
      button.addEventListener("click", () => session.refine(defaultFilter()));
    }
    on("show-guides", "change", () =>
      byId("frame").classList.toggle("plain", !field("show-guides").checked),
    );
    on("json", "toggle", () => this.renderJson());
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
  }

  /** @param {"steering" | "throttle"} name @returns {[number, number]} */
  #limits(name) {
    const limit = (/** @type {string} */ end, /** @type {number} */ fallback) => {
      const { value } = field(`${name}-${end}`);
      return value === "" || Number.isNaN(Number(value))
        ? fallback
        : Math.min(Math.max(Number(value), -1), 1);
    };
    return [limit("from", -1), limit("to", 1)];
  }
}

/** @param {{wrong: number, doubtful: number}} found */
function suspectsText({ wrong, doubtful }) {
  if (!wrong && !doubtful) return "✓ No more labels look wrong.";
  if (!wrong) return `No label stands out, ${number(doubtful)} may be wrong.`;
  const found = `${count(wrong, "label looks", "labels look")} wrong`;
  return doubtful ? `${found}, ${number(doubtful)} more may be.` : `${found}.`;
}
