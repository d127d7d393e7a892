// What was found on opening, and where to begin.

import { byId, make, setText } from "./dom.js";
import { letterOf } from "./keys.js";
import { Flag } from "./store.js";
import { count } from "./words.js";

const LISTED = 100;

/** @typedef {import("./session.js").Session} Session */
/** @typedef {{name: string, what: string, position: number}} Problem */

export class Overview {
  /**
   * @param {Session} session @param {any} entries @param {Map<string, string>} layout
   * @param {(position: number) => void} onShow @param {() => void} onFix
   */
  constructor(session, entries, layout, onShow, onFix) {
    this.session = session;
    this.problems = entries.problems;
    this.fixes = entries.fixes;
    this.onShow = onShow;
    this.onFix = onFix;
    this.found = ""; // what was shown last, so that an open list stays open
    setText(byId("overview-title"), `${count(session.store.count, "picture")} to look at`);
    setText(
      byId("overview-where"),
      `${entries.labels} · pictures in ${entries.folder} · corrections by ${entries.user}`,
    );
    setText(byId("folder"), entries.folder.split("/").slice(-2).join("/"));
    byId("folder").title = entries.folder;
    const classes = Array.from(
      { length: session.store.mostClasses("direction") },
      (_, value) => value,
    );
    const letters = classes
      .map((value) => letterOf("direction", value, layout))
      .join(" ")
      .trim();
    byId("first-keys").replaceChildren(
      ...Object.entries({
        [letters]: "set the direction, from left to right, and go on",
        Enter: "keep the label as it is, and go on",
        X: "mark the picture to delete, and go on",
        Backspace: "undo",
      }).flatMap(([keys, help]) => [
        make("dt", {}, ...keys.split(" ").map((key) => make("kbd", {}, key))),
        make("dd", {}, help),
      ]),
    );
  }

  /** Whether there is anything that a person should read first. */
  get hasProblems() {
    return Object.values(this.problems).some(
      (/** @type {{count: number}} */ kind) => kind.count > 0,
    );
  }

  render() {
    const { store, looks } = this.session;
    const { counts } = store;
    setText(
      byId("overview-progress"),
      `${counts.reviewed.toLocaleString("en")} reviewed, ${counts.edited.toLocaleString("en")} changed, ${counts.deleted.toLocaleString("en")} to delete`,
    );
    setText(byId("begin"), counts.reviewed ? "Resume labelling" : "Start labelling");
    const seen =
      looks.lookedAt < store.count
        ? `Looking at the pictures: ${looks.lookedAt.toLocaleString("en")} of ${store.count.toLocaleString("en")} so far.`
        : "All pictures were looked at.";
    setText(byId("looked-at"), seen);
    const found = JSON.stringify([...looks.broken, store.done.length]);
    if (found === this.found) return;
    this.found = found;
    const open = new Set(
      [...byId("problems").querySelectorAll("details[open]")].map((one) =>
        one.getAttribute("data-kind"),
      ),
    );
    const kinds = Object.entries(this.#all()).filter(([, kind]) => kind.count);
    byId("problems").replaceChildren(
      ...(kinds.length
        ? kinds.map(([name, kind]) => this.#kind(name, kind, open.has(name)))
        : [make("p", { class: "card" }, "✓ Every label is valid, and every picture is there.")]),
    );
  }

  /** Problems of the file that are not mended, and those that looking at the pictures brought. */
  #all() {
    const { store, looks } = this.session;
    const { broken, invalid } = this.problems;
    const mended = store.flags.reduce(
      (sum, flags, position) => sum + Number(flags & Flag.INVALID && !store.isInvalid(position)),
      0,
    );
    const left = invalid.first.filter((/** @type {Problem} */ one) =>
      store.isInvalid(one.position),
    );
    const listed = new Set(broken.first.map((/** @type {Problem} */ one) => one.position));
    const more = [...looks.broken]
      .filter(([position]) => !listed.has(position))
      .map(([position, what]) => ({ name: store.ids[position], what, position }));
    return {
      ...this.problems,
      invalid: { ...invalid, count: invalid.count - mended, first: left },
      broken: { ...broken, count: broken.count + more.length, first: [...broken.first, ...more] },
    };
  }

  /** @param {string} name @param {any} kind @param {boolean} isOpen */
  #kind(name, kind, isOpen) {
    const rows = kind.first
      .slice(0, LISTED)
      .map((/** @type {Problem} */ one) => this.#problem(one));
    if (kind.count > rows.length)
      rows.push(
        make(
          "li",
          { class: "quiet" },
          `and ${(kind.count - rows.length).toLocaleString("en")} more`,
        ),
      );
    const content = [
      make("summary", {}, count(kind.count, kind.one, kind.many)),
      make("p", { class: "quiet" }, kind.remedy),
      make("ul", {}, ...rows),
    ];
    if (name === "invalid" && this.fixes.length && !this.session.readOnly) {
      const button = make(
        "button",
        { type: "button", id: "fix" },
        `Read ${count(this.fixes.length, "text")} such as "2" as numbers`,
      );
      button.addEventListener("click", this.onFix);
      content.splice(2, 0, make("p", {}, button));
    }
    return make("details", { class: "card problem", "data-kind": name, open: isOpen }, ...content);
  }

  /** @param {Problem} problem */
  #problem({ name, what, position }) {
    if (position < 0) return make("li", {}, make("b", {}, name), ` ${what}`);
    const button = make("button", { type: "button", class: "link" }, name);
    button.addEventListener("click", () => this.onShow(position));
    return make("li", {}, button, ` ${what}`);
  }
}
