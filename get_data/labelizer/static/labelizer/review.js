// The Review: all changes before they are exported, and the export.

import { post, Unreachable } from "./api.js";
import { byId, make, setText } from "./dom.js";
import { count, nameOfClass, number } from "./format.js";
import { CLASS_NAMES } from "./store.js";

/** @typedef {import("./changes.js").ChangeList} ChangeList */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types").ExportReply} ExportReply */

const MAX_LISTED = 100; // of those left out

export class Review {
  /**
   * @param {Session} session
   * @param {ChangeList} list
   * @param {() => number} unsent  how many steps the server does not have yet
   */
  constructor(session, list, unsent) {
    this.session = session;
    this.list = list;
    this.unsent = unsent;
    /** Changes since the page was opened. */
    this.changes = 0;
    /** How many of them the export that is shown has. */
    this.exported = 0;
    session.store.addEventListener("change", () => {
      this.changes += 1;
      this.#renderAge();
    });
    byId("export").addEventListener("click", () => this.#export());
  }

  render() {
    const { store } = this.session;
    const touched = [];
    for (let position = 0; position < store.count; position += 1) {
      if (store.isTouched(position)) touched.push(position);
    }
    const { edited, created, deleted } = store.counts;
    const added = created ? `, ${count(created, "new label")}` : "";
    const confirmed = touched.filter((position) => this.#isConfirmed(position)).length;
    setText(
      byId("review-summary"),
      `${count(edited, "label")} changed, ${number(confirmed)} confirmed, ${number(deleted)} to delete${added}`,
    );
    byId("review-counts").replaceChildren(make("h2", {}, "Classes"), this.#createClassTable());
    setText(byId("changes-title"), count(touched.length, "change"));
    this.list.render(touched);
  }

  /** @param {number} position */
  #isConfirmed(position) {
    const { store } = this.session;
    const { reviewed, deleted } = store.now;
    const isOnlyReviewed = reviewed[position] === 1 && deleted[position] !== 1;
    return isOnlyReviewed && !store.settled[position] && !store.isEdited(position);
  }

  #createClassTable() {
    const { store } = this.session;
    const { counts, groups } = store;
    const rows = CLASS_NAMES.flatMap((attribute) => {
      const classes = store.mostClasses(attribute);
      return Array.from({ length: classes }, (_, value) => {
        // Names depend on the number of classes, which differs between groups.
        const name = groups.length === 1 ? nameOfClass(attribute, value, classes) : "";
        const numbers = [counts.before, counts.now].map((side) => number(side[attribute][value]));
        return createRow("td", `${attribute} ${value} ${name}`, ...numbers);
      });
    });
    return createTable("class-counts", ["class", "before", "now"], rows);
  }

  async #export() {
    const button = /** @type {HTMLButtonElement} */ (byId("export"));
    const shown = byId("exported");
    button.disabled = true;
    shown.hidden = false;
    shown.replaceChildren("Writing …");
    this.exported = this.changes;
    try {
      shown.replaceChildren(...(await this.#requestExport()));
      this.#renderAge();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      shown.replaceChildren("Nothing was written: the server does not answer.");
    } finally {
      button.disabled = false;
    }
  }

  /** Have the server write the file; return what to show of it. */
  async #requestExport() {
    const unsent = this.unsent();
    if (unsent) return [`${count(unsent, "change")} not saved yet; export once all is saved.`];
    /** @type {import("./api.js").Reply<ExportReply>} */
    const reply = await post("/api/export", {});
    if (!reply.ok) return [`Nothing was written: ${reply.body.message}`];
    return createReport(reply.body);
  }

  #renderAge() {
    const age = document.getElementById("exported-age");
    if (!age) return;
    const isOld = this.changes > this.exported;
    setText(age, isOld ? " ⚠ It is older than your last change: write it anew." : "");
  }
}

/** @param {ExportReply} exported */
function createReport(exported) {
  const { file, corrected, confirmed, deleted, restored, created, untouched } = exported;
  const leftOut = exported.left_out;
  const { command, set_first: setFirst } = exported.apply;
  const name = file.split("/").at(-1) ?? "";
  const download = make("a", { id: "download", href: `/export/${name}`, download: name });
  download.append("Download it");
  const numbers =
    `${created ? `${count(created, "new label")}, ` : ""}${count(corrected, "label")} corrected, ${confirmed} confirmed, ${deleted} to delete, ` +
    `${restored} kept again, ${untouched} as they were.`;
  const written = make("code", { id: "exported-file" }, file);
  const parts = [
    make("p", {}, "✓ Written: ", written, make("b", { id: "exported-age" })),
    make("p", {}, numbers),
    make("p", {}, download, ", or apply it to the database:"),
    make("pre", { id: "apply" }, command),
  ];
  if (setFirst.length) {
    const text = `First set ${setFirst.join(", ")} as where the labelizer was started; they are secret.`;
    parts.push(make("p", { id: "set-first" }, text));
  }
  if (leftOut.length) {
    const rows = leftOut
      .slice(0, MAX_LISTED)
      .map(({ img_id: id, why }) => make("li", {}, `${id}: ${why}`));
    const text = `Left out, because no valid label can be made of them: ${leftOut.length}`;
    parts.push(make("p", {}, text), make("ul", { id: "left-out" }, ...rows));
  }
  return parts;
}

/** @param {string} id @param {string[]} titles @param {HTMLElement[]} rows */
function createTable(id, titles, rows) {
  const head = make("thead", {}, createRow("th", ...titles));
  return make("table", { id }, head, make("tbody", {}, ...rows));
}

/** @param {string} cell  name of its elements @param {...(Node | string)} content */
function createRow(cell, ...content) {
  return make("tr", {}, ...content.map((part) => make(cell, {}, part)));
}
