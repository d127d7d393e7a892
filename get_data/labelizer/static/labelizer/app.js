// Where the page starts: loads the work and opens it.

import { WORK, get } from "./api.js";
import { Comparison } from "./comparison.js";
import { keyboardLayout } from "./keys.js";
import { Model } from "./model.js";
import { Outbox } from "./outbox.js";
import { Page } from "./page.js";
import { Pictures } from "./pictures.js";
import { offerReopening } from "./reopening.js";
import { Session } from "./session.js";
import { showBar } from "./status.js";
import { Flag, Store } from "./store.js";
import { PictureFindings, Suspicion } from "./suspicion.js";
import { Writer } from "./writer.js";

/** @typedef {import("./types").ComparisonReply} ComparisonReply */
/** @typedef {import("./types").Entries} Entries */
/** @typedef {import("./types").Findings} Findings */
/** @typedef {import("./types").ModelReply} ModelReply */
/** @typedef {import("./types").OutdatedState} OutdatedState */
/** @typedef {import("./types").WorkState} WorkState */

async function open() {
  // The secret of the printed address is in a cookie now.
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  const writer = new Writer();
  /** @type {[Entries, WorkState | OutdatedState, Findings, ModelReply, ComparisonReply | null, Map<string, string>]} */
  const [entries, state, found, judged, compared, layout] = await Promise.all([
    get("/api/entries"),
    // The lease first: once this page has it, nobody else adds to the state.
    writer.acquire().then(() => get("/api/state")),
    get("/api/findings"),
    get("/api/model"),
    get("/api/comparison"),
    keyboardLayout(),
  ]);
  const outbox = await Outbox.open();
  if (state.outdated) {
    offerReopening(state.outdated, entries, outbox, writer);
    return;
  }
  const store = new Store(entries, state);
  applyUnsent(outbox, state, store);
  if (compared) store.comparison = new Comparison(store, compared);
  const findings = new PictureFindings(store.count);
  findings.update(found);
  const model = new Model(store.count);
  model.update(judged);
  const hasPicture = (/** @type {number} */ position) => !(store.flags[position] & Flag.MISSING);
  const page = new Page({
    entries,
    round: state.round,
    outbox,
    writer,
    layout,
    session: new Session(new Suspicion(store, findings, model)),
    pictures: new Pictures(entries.version, entries.sheet, hasPicture),
    placeKey: `labelizer-left-${WORK}`,
  });
  await page.start();
}

/**
 * Apply the steps that an earlier page was closed or killed before it could send.
 * @param {Outbox} outbox
 * @param {WorkState} state
 * @param {Store} store
 */
function applyUnsent(outbox, state, store) {
  const saved = new Set(state.history.map((operation) => operation.uid));
  for (const { operation } of outbox.waiting) {
    if (!saved.has(operation.uid)) store.apply(operation);
  }
}

open().catch((error) => {
  showBar("refused", `The page could not be opened: ${error.message}`);
  throw error;
});
