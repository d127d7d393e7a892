// What is shown in place of the labels when the label file has changed since the work began.

import { post } from "./api.js";
import { byId, setText } from "./dom.js";
import { roundTexts, startsByItself } from "./rounds.js";
import { VIEWS } from "./session.js";
import { showBar, showCondition } from "./status.js";

/** @typedef {import("./outbox.js").Outbox} Outbox */
/** @typedef {import("./types").Entries} Entries */
/** @typedef {import("./types").RoundSummary} RoundSummary */
/** @typedef {import("./writer.js").Writer} Writer */

/**
 * Start the next round on the label file as it is now, or, where work would be lost, let the user
 * choose whether to carry the rest over.
 * @param {RoundSummary} outdated
 * @param {Entries} entries
 * @param {Outbox} outbox
 * @param {Writer} writer
 */
export function offerReopening(outdated, entries, outbox, writer) {
  for (const view of VIEWS) byId(view).hidden = view !== "overview";
  document.body.dataset.view = "outdated";
  setText(byId("overview-title"), entries.labels);
  byId("changed").hidden = false;
  // What became of the corrections is said on the overview, whatever an older address names.
  if (outdated.applied) history.replaceState(null, "", location.pathname);
  setText(byId("changed-what"), roundTexts(outdated, false).join(" "));
  let isStarting = false;
  const buttons = ["carry", "anew"].map((id) => /** @type {HTMLButtonElement} */ (byId(id)));
  const render = () => {
    const isReady = showChoice(buttons, outbox, writer);
    if (!isReady || isStarting || !startsByItself(outdated)) return;
    isStarting = true;
    reopen("carry", outbox, writer);
  };
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

/**
 * Return whether the choice can be made here now.
 * @param {HTMLButtonElement[]} buttons
 * @param {Outbox} outbox
 * @param {Writer} writer
 */
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
  return condition === "saved" && epoch > 0 && !unsent;
}

/** @param {string} how  id of the button @param {Outbox} outbox @param {Writer} writer */
async function reopen(how, outbox, writer) {
  const reply = await post("/api/reopen", { how, epoch: writer.epoch });
  if (reply.ok) location.reload();
  else if (reply.status === 409) outbox.handleRefusal(reply);
  else showBar("full", reply.body.message);
}
