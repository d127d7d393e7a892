// All changes before they are exported, and the export.

import { post, Unreachable } from "./api.js";
import { shortLabel } from "./badges.js";
import { byId, make, setText } from "./dom.js";
import { count, nameOf } from "./words.js";

const LISTED = 100;

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./store.js").ClassName} ClassName */

export class Review {
  /** @param {Session} session @param {() => number} unsent @param {(position: number) => void} onShow */
  constructor(session, unsent, onShow) {
    this.session = session;
    this.unsent = unsent;
    this.onShow = onShow;
    this.changes = 0; // since the page was opened
    this.exported = 0; // of them, when the export began that is shown
    session.store.addEventListener("change", () => {
      this.changes += 1;
      this.#renderAge();
    });
    byId("export").addEventListener("click", () => this.#export());
  }

  render() {
    const { store } = this.session;
    const touched = [];
    for (let position = 0; position < store.count; position += 1)
      if (store.isTouched(position)) touched.push(position);
    const { edited, deleted } = store.counts;
    const confirmed = touched.filter(
      (position) =>
        store.now.reviewed[position] && !store.isEdited(position) && !store.now.deleted[position],
    ).length;
    setText(
      byId("review-summary"),
      `${count(edited, "label")} changed, ${confirmed.toLocaleString("en")} confirmed, ${deleted.toLocaleString("en")} to delete`,
    );
    byId("review-counts").replaceChildren(make("h2", {}, "Classes"), this.#classes());
    setText(byId("changes-title"), `${count(touched.length, "change")}`);
    byId("changes").replaceChildren(
      touched.length
        ? this.#table(touched)
        : make("p", { class: "quiet" }, "Nothing was changed yet."),
    );
  }

  #classes() {
    const { store } = this.session;
    const { counts, groups } = store;
    const rows = /** @type {ClassName[]} */ (["direction", "speed"]).flatMap((attribute) => {
      const classes = store.mostClasses(attribute);
      return Array.from({ length: classes }, (_, value) => {
        const name = groups.length === 1 ? nameOf(attribute, value, classes) : "";
        return row(
          "td",
          `${attribute} ${value} ${name}`,
          ...[counts.before, counts.now].map((side) => side[attribute][value].toLocaleString("en")),
        );
      });
    });
    return make(
      "table",
      { id: "class-counts" },
      make("thead", {}, row("th", "class", "before", "now")),
      make("tbody", {}, ...rows),
    );
  }

  /** @param {number[]} touched */
  #table(touched) {
    const { store } = this.session;
    const rows = touched.slice(0, LISTED).map((position) => {
      const what = store.now.deleted[position]
        ? "✕ to delete"
        : store.isEdited(position)
          ? "✎ changed"
          : store.now.reviewed[position]
            ? "✓ confirmed"
            : "kept again";
      const button = make("button", { type: "button", class: "link" }, store.ids[position]);
      button.addEventListener("click", () => this.onShow(position));
      return row(
        "td",
        button,
        what,
        shortLabel(store.old, position),
        shortLabel(store.now, position),
      );
    });
    const table = make(
      "table",
      { id: "change-list" },
      make("thead", {}, row("th", "picture", "what", "before (direction · speed)", "now")),
      make("tbody", {}, ...rows),
    );
    if (touched.length <= LISTED) return table;
    return make(
      "div",
      {},
      table,
      make(
        "p",
        { class: "quiet" },
        `and ${(touched.length - LISTED).toLocaleString("en")} more; the grid shows all, with “label changed” or “to delete” in the panel`,
      ),
    );
  }

  async #export() {
    const button = /** @type {HTMLButtonElement} */ (byId("export"));
    const shown = byId("exported");
    button.disabled = true;
    shown.hidden = false;
    shown.replaceChildren("Writing …");
    this.exported = this.changes;
    try {
      if (this.unsent()) {
        shown.replaceChildren(
          `${count(this.unsent(), "change")} not yet saved; export when all is saved.`,
        );
        return;
      }
      const { status, body } = await post("/api/export", {});
      shown.replaceChildren(
        ...(status === 200 ? this.#result(body) : [`Nothing was written: ${body.message}`]),
      );
      this.#renderAge();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      shown.replaceChildren("Nothing was written: the server does not answer.");
    } finally {
      button.disabled = false;
    }
  }

  #renderAge() {
    const age = document.getElementById("exported-age");
    if (age)
      setText(
        age,
        this.changes > this.exported ? " ⚠ It is older than your last change: write it anew." : "",
      );
  }

  /** @param {any} exported */
  #result(exported) {
    const name = exported.file.split("/").at(-1);
    const { command, set_first } = exported.apply;
    const parts = [
      make(
        "p",
        {},
        "✓ Written: ",
        make("code", { id: "exported-file" }, exported.file),
        make("b", { id: "exported-age" }),
      ),
      make(
        "p",
        {},
        `${count(exported.corrected, "label")} corrected, ${exported.confirmed} confirmed, ${exported.deleted} to delete, ${exported.restored} kept again, ${exported.untouched} as they were.`,
      ),
      make(
        "p",
        {},
        make("a", { id: "download", href: `/export/${name}`, download: name }, "Download it"),
        ", or apply it to the database:",
      ),
      make("pre", { id: "apply" }, command),
    ];
    if (set_first.length)
      parts.push(
        make(
          "p",
          { id: "set-first" },
          `${set_first.join(", ")} must be set there as where the labelizer was started; they are not shown.`,
        ),
      );
    if (exported.left_out.length) {
      const rows = exported.left_out
        .slice(0, LISTED)
        .map((/** @type {{img_id: string, why: string}} */ one) =>
          make("li", {}, `${one.img_id}: ${one.why}`),
        );
      parts.push(
        make(
          "p",
          {},
          `Left out, because no valid label can be made of them: ${exported.left_out.length}`,
        ),
        make("ul", { id: "left-out" }, ...rows),
      );
    }
    return parts;
  }
}

/** @param {string} cell @param {...(Node | string)} content */
function row(cell, ...content) {
  return make("tr", {}, ...content.map((one) => make(cell, {}, one)));
}
