// The page of all keys, made from the key table. Each row is a button that does what its key does.

import { byId, make } from "./dom.js";
import { bindingsOf } from "./keys.js";

const FROM_CLASSES = ["label", "direction", "speed"]; // their buttons are under the picture

/** @param {string} view that is in sight @param {Record<import("./store.js").ClassName, number>} classes @param {(action: string) => void} run */
export function buildHelp(view, classes, run) {
  const bindings = bindingsOf(view, classes);
  const groups = [...new Set(bindings.map((binding) => binding.group))];
  byId("help-groups").replaceChildren(
    ...groups.map((group) =>
      make(
        "section",
        {},
        make("h2", {}, group),
        make(
          "dl",
          {},
          ...bindings.filter((one) => one.group === group).map((one) => row(one, run)),
        ),
      ),
    ),
  );
}

/** @param {import("./keys.js").Binding} binding @param {(action: string) => void} run */
function row(binding, run) {
  const keys = make("dt", {}, make("kbd", {}, binding.shown));
  if (FROM_CLASSES.includes(binding.action))
    return make("div", { "data-binding": binding.action }, keys, make("dd", {}, binding.help));
  const button = make("button", { type: "button", "data-do": binding.action }, binding.help);
  button.addEventListener("click", () => {
    /** @type {HTMLDialogElement} */ (byId("help")).close();
    run(binding.action);
  });
  return make("div", { "data-binding": binding.action }, keys, make("dd", {}, button));
}
