// The Overview: what was found on opening, and where to start.

import { byId, make, setText } from "./dom.js";
import { defaultFilter } from "./filters.js";
import { count, number } from "./format.js";
import { letterOf } from "./keys.js";
import { renderLate } from "./late.js";
import { showRound } from "./rounds.js";
import { Flag } from "./store.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types").Entries} Entries */
/** @typedef {import("./types").Problem} Problem */
/** @typedef {import("./types").ProblemKind} ProblemKind */
/** @typedef {import("./types").Problems} Problems */
/** @typedef {import("./types").RoundSummary} RoundSummary */

/**
 * @typedef {object} Handlers
 * @property {(position: number) => void} onShow  shows a picture
 * @property {() => void} onFix  reads texts as numbers
 * @property {(operation: import("./types").Operation) => void} onMoved  commits moved labels
 */

const MAX_LISTED = 100;

export class Overview {
  /**
   * @param {Session} session
   * @param {Entries} entries
   * @param {RoundSummary | null} round  what became of the work before this
   * @param {Map<string, string>} layout  what is printed on the keys, by event.code
   * @param {Handlers} handlers
   */
  constructor(session, entries, round, layout, handlers) {
    this.session = session;
    this.problems = entries.problems;
    this.fixes = entries.fixes;
    this.handlers = handlers;
    /** What the list of problems was rendered from. */
    this.rendered = "";
    this.isNextRound = showRound(round);
    const { labels, folder, user } = entries;
    setText(byId("overview-title"), `${count(session.store.count, "picture")} to look at`);
    setText(byId("overview-where"), `${labels} · pictures in ${folder} · corrections by ${user}`);
    setText(byId("folder"), folder.split("/").slice(-2).join("/"));
    byId("folder").title = folder;
    byId("first-keys").replaceChildren(
      ...firstKeys(session.store.mostClasses("direction"), layout),
    );
  }

  /** Whether there is anything that a person should read first. */
  get hasNews() {
    const isNew = this.isNextRound || this.session.store.comparison !== null;
    return isNew || Object.values(this.problems).some((kind) => kind.count > 0);
  }

  render() {
    const { store, findings } = this.session;
    const { reviewed, edited, deleted } = store.counts;
    setText(
      byId("overview-progress"),
      `${number(reviewed)} reviewed, ${number(edited)} changed, ${number(deleted)} to delete`,
    );
    setText(byId("begin"), reviewed ? "Resume labelling" : "Start labelling");
    const progress = `${number(findings.examined)} of ${number(store.count)} so far`;
    const isDone = findings.examined >= store.count;
    setText(
      byId("looked-at"),
      isDone ? "All pictures were looked at." : `Looking at the pictures: ${progress}.`,
    );
    renderLate(this.session, this.handlers.onMoved);
    this.#renderProblems();
  }

  #renderProblems() {
    const { store, findings } = this.session;
    // Only when something has changed, so that a list stays scrolled to where it is read.
    const source = JSON.stringify([...findings.broken, store.done.length]);
    if (source === this.rendered) return;
    this.rendered = source;
    const list = byId("problems");
    const open = new Set(
      Array.from(list.querySelectorAll("details[open]"), (kind) => kind.getAttribute("data-kind")),
    );
    const kinds = Object.entries(this.#currentProblems()).filter(([, kind]) => kind.count);
    const cards = kinds.map(([name, kind]) => this.#createKind(name, kind, open.has(name)));
    const none = "✓ Every label is valid, and every picture is there.";
    list.replaceChildren(...(cards.length ? cards : [make("p", { class: "card" }, none)]));
  }

  /**
   * Return the problems of the file that are not fixed yet, and those found in pictures since.
   * @returns {Problems}
   */
  #currentProblems() {
    const { store, findings } = this.session;
    const { broken, invalid, unlabelled } = this.problems;
    const fixed = store.flags.reduce(
      (sum, flags, position) => sum + Number(flags & Flag.INVALID && !store.isInvalid(position)),
      0,
    );
    const open = store.flags.reduce(
      (sum, _, position) => sum + Number(store.isUnlabelled(position)),
      0,
    );
    const left = invalid.first.filter((problem) => store.isInvalid(problem.position));
    const listed = new Set(broken.first.map((problem) => problem.position));
    const more = [...findings.broken]
      .filter(([position]) => !listed.has(position))
      .map(([position, what]) => ({ name: store.ids[position], what, position }));
    return {
      ...this.problems,
      unlabelled: {
        ...unlabelled,
        count: open,
        first: unlabelled.first.filter(({ position }) => store.isUnlabelled(position)),
      },
      invalid: { ...invalid, count: invalid.count - fixed, first: left },
      broken: { ...broken, count: broken.count + more.length, first: [...broken.first, ...more] },
    };
  }

  /** @param {string} name @param {ProblemKind} kind @param {boolean} isOpen */
  #createKind(name, kind, isOpen) {
    const rows = kind.first.slice(0, MAX_LISTED).map((problem) => this.#createProblem(problem));
    if (kind.count > rows.length) {
      const more = `and ${number(kind.count - rows.length)} more`;
      rows.push(make("li", { class: "quiet" }, more));
    }
    const canFix = name === "invalid" && this.fixes.length > 0 && !this.session.readOnly;
    return make(
      "details",
      { class: "card problem", "data-kind": name, open: isOpen },
      make("summary", {}, count(kind.count, kind.one, kind.many)),
      make("p", { class: "quiet" }, kind.remedy),
      ...(canFix ? [make("p", {}, this.#createFixButton())] : []),
      ...(name === "unlabelled" ? [make("p", {}, this.#createLabelButton())] : []),
      make("ul", {}, ...rows),
    );
  }

  #createFixButton() {
    const text = `Read ${count(this.fixes.length, "text")} such as "2" as numbers`;
    const button = make("button", { type: "button", id: "fix" }, text);
    button.addEventListener("click", this.handlers.onFix);
    return button;
  }

  #createLabelButton() {
    const button = make("button", { type: "button", id: "label-new" }, "Label them");
    button.addEventListener("click", () => {
      this.session.refine({ ...defaultFilter(), state: ["unlabelled"] });
      this.session.showView("single");
    });
    return button;
  }

  /** @param {Problem} problem */
  #createProblem({ name, what, position }) {
    if (position < 0) return make("li", {}, make("b", {}, name), ` ${what}`);
    const button = make("button", { type: "button", class: "link" }, name);
    button.addEventListener("click", () => this.handlers.onShow(position));
    return make("li", {}, button, ` ${what}`);
  }
}

/**
 * Return the few keys that are enough to begin with.
 * @param {number} directions
 * @param {Map<string, string>} layout
 */
function firstKeys(directions, layout) {
  const letters = Array.from({ length: directions }, (_, value) =>
    letterOf("direction", value, layout),
  );
  const keys = {
    [letters.join(" ").trim()]: "set the direction, from left to right, and go on",
    Enter: "keep the label as it is and go on",
    X: "mark the picture to delete and go on",
    Backspace: "undo",
  };
  return Object.entries(keys).flatMap(([shown, help]) => [
    make("dt", {}, ...shown.split(" ").map((key) => make("kbd", {}, key))),
    make("dd", {}, help),
  ]);
}
