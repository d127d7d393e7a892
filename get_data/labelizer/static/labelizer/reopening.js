// What is shown in place of the labels when the label file has changed since the work began.

import { post } from "./api.js";
import { byId, setText } from "./dom.js";
import { count } from "./format.js";
import { VIEWS } from "./session.js";
import { showBar, showCondition } from "./status.js";

/** @typedef {import("./outbox.js").Outbox} Outbox */
/** @typedef {import("./types").Entries} Entries */
/** @typedef {import("./types").Outdated} Outdated */
/** @typedef {import("./writer.js").Writer} Writer */

/**
 * Let the user choose whether to carry the work over to the label file as it is now.
 * @param {Outdated} outdated
 * @param {Entries} entries
 * @param {Outbox} outbox
 * @param {Writer} writer
 */
export function offerReopening(outdated, entries, outbox, writer) {
  for (const view of VIEWS) byId(view).hidden = view !== "overview";
  document.body.dataset.view = "outdated";
  setText(byId("overview-title"), entries.labels);
  byId("changed").hidden = false;
  setText(byId("changed-what"), outdatedText(outdated));
  const buttons = ["carry", "anew"].map((id) => /** @type {HTMLButtonElement} */ (byId(id)));
  const render = () => showChoice(buttons, outbox, writer);
  writer.onLost = () => {
    outbox.stop();
    render();
  };
  outbox.addEventListener("condition", render);
  if (writer.epoch) outbox.start(writer.epoch);
  render();
  for (const button of buttons) {
    button.addEventListener("click", () => reopen(button.id, outbox, writer));
  }
  document.body.dataset.ready = "yes";
}

/** @param {Outdated} outdated */
function outdatedText({ decided, carried }) {
  const lost = decided - carried;
  const reason = lost === 1 ? "it is gone or has" : "they are gone or have";
  const rest = lost ? ` ${lost} cannot, because ${reason} another label now.` : "";
  const worked = `${count(decided, "label")} had been worked on`;
  return `${worked}. ${carried} of them can be carried over: same picture, same old label.${rest}`;
}

/** @param {HTMLButtonElement[]} buttons @param {Outbox} outbox @param {Writer} writer */
function showChoice(buttons, outbox, writer) {
  const { condition, epoch, unsent } = outbox;
  // What an earlier page left unsent belongs to the work that is carried over: it goes first.
  for (const button of buttons) button.disabled = !epoch || unsent > 0;
  if (condition === "saved" && epoch) setText(byId("save-state"), "Waiting for your choice");
  else showCondition(outbox, !epoch);
  if (!epoch && condition !== "elsewhere") {
    showBar("stale", "Another tab or browser has opened this folder; the choice is made there.", {
      text: "Take over",
      run: () => writer.takeOver(),
    });
  }
}

/** @param {string} how  id of the button @param {Outbox} outbox @param {Writer} writer */
async function reopen(how, outbox, writer) {
  const reply = await post("/api/reopen", { how, epoch: writer.epoch });
  if (reply.ok) location.reload();
  else if (reply.status === 409) outbox.handleRefusal(reply);
  else showBar("full", reply.body.message);
}
