// The list of all keys, made from the key table. Each row is a button that does what its key does.

import { byId, make } from "./dom.js";
import { bindingsOf } from "./keys.js";

/** @typedef {import("./keys.js").Binding} Binding */
/** @typedef {import("./types").ClassName} ClassName */

// Actions that need a class: their buttons are under the picture.
const OF_A_CLASS = ["label", "direction", "speed"];

/**
 * Fill the help with the keys of a view.
 * @param {string} view
 * @param {Record<ClassName, number>} classes  how many there are
 * @param {(action: string) => void} run       runs an action
 */
export function buildHelp(view, classes, run) {
  const bindings = bindingsOf(view, classes);
  const groups = [...new Set(bindings.map((binding) => binding.group))];
  const sections = groups.map((group) => {
    const rows = bindings.filter((binding) => binding.group === group);
    const list = make("dl", {}, ...rows.map((binding) => createRow(binding, run)));
    return make("section", {}, make("h2", {}, group), list);
  });
  byId("help-groups").replaceChildren(...sections);
}

/** @param {Binding} binding @param {(action: string) => void} run */
function createRow({ action, shown, help }, run) {
  const keys = make("dt", {}, make("kbd", {}, shown));
  const content = OF_A_CLASS.includes(action) ? help : createButton(action, help, run);
  return make("div", { "data-binding": action }, keys, make("dd", {}, content));
}

/** @param {string} action @param {string} help @param {(action: string) => void} run */
function createButton(action, help, run) {
  const button = make("button", { type: "button", "data-do": action }, help);
  button.addEventListener("click", () => {
    /** @type {HTMLDialogElement} */ (byId("help")).close();
    run(action);
  });
  return button;
}
