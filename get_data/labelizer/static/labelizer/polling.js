// What the page asks the server again and again: the state of its lease, findings in pictures.

import { Unreachable, get, post } from "./api.js";
import { showCondition } from "./status.js";

/** @typedef {import("./outbox.js").Outbox} Outbox */
/** @typedef {import("./overview.js").Overview} Overview */
/** @typedef {import("./player.js").Player} Player */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./writer.js").Writer} Writer */

const HEARTBEAT_MS = 3000;
const FINDINGS_MS = 1500;
const MODEL_MS = 700;

/**
 * Refresh the lease at regular intervals, and take it over when it is free.
 * @param {Outbox} outbox
 * @param {Writer} writer
 * @param {Session} session
 */
export function startHeartbeat(outbox, writer, session) {
  setInterval(async () => {
    try {
      await beat(outbox, writer, session);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      outbox.noteUnreachable();
    }
  }, HEARTBEAT_MS);
}

/** @param {Outbox} outbox @param {Writer} writer @param {Session} session */
async function beat(outbox, writer, session) {
  const { browser, epoch } = writer;
  /** @type {import("./api.js").Reply<import("./types").HeartbeatReply>} */
  const reply = await post("/api/heartbeat", { browser, epoch });
  if (!reply.ok && (reply.status === 409 || reply.body.why === "key")) {
    outbox.handleRefusal(reply);
    return;
  }
  outbox.sourceChanged = reply.ok && reply.body.source_changed;
  if (!session.readOnly && reply.ok && !reply.body.holds) writer.onLost();
  outbox.noteReachable();
  showCondition(outbox, session.readOnly);
  if (session.readOnly && reply.ok && reply.body.free) await takeFreeLease(outbox, writer);
}

/**
 * Reload to take the lease that nobody refreshes any more, but only in the page that is looked at,
 * and only if no older step of its own would come on top of what others have done since.
 * @param {Outbox} outbox
 * @param {Writer} writer
 */
async function takeFreeLease(outbox, writer) {
  if (document.visibilityState !== "visible" || outbox.unsent) return;
  if (document.querySelector("dialog[open]")) return;
  if (!(await writer.isLockedElsewhere())) location.reload();
}

/**
 * Fetch findings until the server has examined all pictures.
 * @param {Session} session
 * @param {Player} player
 * @param {Overview} overview
 */
export function pollFindings(session, player, overview) {
  const { findings, store } = session;
  if (findings.examined >= store.count) return;
  setTimeout(async () => {
    try {
      const found = await get("/api/findings");
      // While playing, a new order would move the picture away.
      if (!player.playing && findings.update(found)) session.applyFindings();
    } catch {
      // Fetched again below.
    }
    overview.render();
    pollFindings(session, player, overview);
  }, FINDINGS_MS);
}

/**
 * Ask for the model until there is one.
 * @param {Session} session
 * @param {Player} player
 * @param {() => void} onNews  called when the model has come, failed or come further
 */
export function pollModel(session, player, onNews) {
  const { model } = session;
  if (model.status !== "computing") return;
  setTimeout(async () => {
    try {
      const reply = await get("/api/model");
      // While playing, a new order would move the picture away.
      if (!player.playing && model.update(reply)) {
        if (model.isReady) session.applyFindings();
        onNews();
      }
    } catch {
      // Asked again below.
    }
    pollModel(session, player, onNews);
  }, MODEL_MS);
}
