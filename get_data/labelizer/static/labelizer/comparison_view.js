// What the page shows of another person's labels: agreement, and both labels of a picture.

import { classSign } from "./badges.js";
import { byId, make, setText } from "./dom.js";
import { defaultFilter } from "./filters.js";
import { count, nameOfClass, number, percent, shareText } from "./format.js";
import { needlePath } from "./overlay.js";
import { CLASS_NAMES } from "./store.js";

/** @typedef {import("./comparison.js").Comparison} Comparison */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types").ClassName} ClassName */

export class ComparisonView {
  /**
   * @param {Session} session
   * @param {Comparison} comparison
   */
  constructor(session, comparison) {
    this.session = session;
    this.comparison = comparison;
    const { name, reply } = comparison;
    for (const card of document.querySelectorAll(".compared")) {
      card.toggleAttribute("hidden", false);
    }
    for (const title of document.querySelectorAll(".other-name")) setText(title, name);
    byId("compared-file").title = reply.file;
    setText(byId("compared-file"), reply.file.split("/").at(-1) ?? "");
    byId("agreement").replaceChildren(...CLASS_NAMES.map((each) => this.#createAgreement(each)));
    setText(byId("not-compared"), notCompared(reply));
    for (const button of document.querySelectorAll(".show-differences")) {
      button.addEventListener("click", () => this.#showDifferences());
    }
    session.store.addEventListener("change", () => this.renderCount());
    this.renderCount();
  }

  /** Show how many differences are left. */
  renderCount() {
    const left = this.comparison.count();
    const text = left ? count(left, "difference") : "✓ No differences are left.";
    for (const each of document.querySelectorAll(".differences")) setText(each, text);
    for (const button of document.querySelectorAll(".show-differences")) {
      button.toggleAttribute("disabled", left === 0);
    }
  }

  /** Show the other label of a picture. @param {number} position */
  renderLabel(position) {
    const { comparison } = this;
    const isDifferent = position >= 0 && comparison.differs(position);
    const isDeleted = isDifferent && comparison.deleted[position] === 1;
    const steering = isDifferent && !isDeleted ? comparison.values.direction[position] : Number.NaN;
    for (const id of ["other-edge", "other-needle"]) {
      byId(id).setAttribute("d", needlePath(steering));
    }
    const hasLabel = position >= 0 && comparison.hasLabel(position);
    setText(byId("other-label"), hasLabel ? this.#labelText(position) : "no label");
    for (const name of CLASS_NAMES) {
      const value = isDifferent && !isDeleted ? comparison.classes[name][position] : -1;
      for (const button of byId(name).querySelectorAll("button")) {
        const isTheirs = Number(button.dataset.value) === value;
        button.classList.toggle("theirs", isTheirs && button.ariaPressed !== "true");
      }
    }
    byId("take-other").toggleAttribute("disabled", !isDifferent);
  }

  /** @param {number} position */
  #labelText(position) {
    const { comparison } = this;
    if (comparison.deleted[position]) return "✕ to delete";
    const classes = CLASS_NAMES.map((name) => {
      const value = comparison.classes[name][position];
      const text = nameOfClass(name, value, this.session.store.classes(position, name));
      return `${classSign(value)} ${text}`.trim();
    });
    const steering = shareText(comparison.values.direction[position]);
    return `${classes.join(" · ")} (${steering})`;
  }

  #showDifferences() {
    this.session.refine({ ...defaultFilter(), state: ["differs"] });
    this.session.showView("single");
  }

  /** @param {ClassName} name */
  #createAgreement(name) {
    const { store } = this.session;
    const { compared, same, kappa, table } = this.comparison.agreement[name];
    const classes = table.length;
    const title = (/** @type {number} */ value) =>
      `${value} ${store.groups.length === 1 ? nameOfClass(name, value, classes) : ""}`.trim();
    const values = Array.from(table.keys());
    const head = make(
      "tr",
      {},
      make("th", {}, `you ↓ ${this.comparison.name} →`),
      ...values.map((value) => make("th", { scope: "col" }, title(value))),
    );
    const rows = table.map((row, value) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, title(value)),
        ...Array.from(row, (pictures, other) => createCell(pictures, value === other)),
      ),
    );
    const share = compared ? percent(same, compared) : "–";
    const beyondChance = Number.isNaN(kappa) ? "" : `, κ ${shareText(kappa)}`;
    return make(
      "figure",
      { class: "confusion", "data-agreement": name },
      make(
        "figcaption",
        { title: "Cohen's kappa: 1 for full agreement, 0 for what chance would give" },
        make("b", {}, `${name} ${share}`),
        ` the same${beyondChance}`,
      ),
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)),
    );
  }
}

/** @param {number} pictures @param {boolean} isSame */
function createCell(pictures, isSame) {
  const kind = isSame ? "same" : pictures ? "different" : "empty";
  return make("td", { class: kind }, pictures ? number(pictures) : "·");
}

/** @param {import("./types").ComparisonReply} reply */
function notCompared(reply) {
  const parts = [
    [reply.only_here, "only in your file"],
    [reply.only_there, "only in the other"],
    [reply.invalid, "not valid in the other"],
    [reply.other_classes, "with other classes in the other"],
  ]
    .filter(([labels]) => Number(labels) > 0)
    .map(([labels, reason]) => `${number(Number(labels))} ${reason}`);
  return parts.length ? `Not compared: ${parts.join(", ")}.` : "";
}
