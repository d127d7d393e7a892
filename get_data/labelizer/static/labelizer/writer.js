// The right to write: one tab of this browser by a lock, one browser by a lease of the server.

import { post } from "./api.js";
import { result } from "./outbox.js";

const TAKE_OVER = "labelizer-take-over";

/** @typedef {import("./outbox.js").Outbox} Outbox */

export class Writer {
  /** @param {string} work @param {Outbox} outbox */
  constructor(work, outbox) {
    this.work = work;
    this.outbox = outbox;
    this.epoch = 0;
    this.browser = "";
    /** Called when another tab or browser has taken over. */
    this.onLost = () => {};
  }

  /** @returns {Promise<boolean>} whether this tab may write */
  async begin() {
    const takeOver = sessionStorage.getItem(TAKE_OVER) === "yes";
    sessionStorage.removeItem(TAKE_OVER);
    this.browser = await nameOfBrowser(this.outbox.database);
    if (!(await this.#lock(takeOver))) return false;
    const { status, body } = await post("/api/lease", { browser: this.browser, take_over: takeOver });
    if (status !== 200) throw new Error(body.message);
    this.epoch = body.epoch ?? 0;
    return this.epoch > 0;
  }

  /** The page opens again, with what other tabs did meanwhile, and is the one that writes. */
  takeOverOnReload() {
    sessionStorage.setItem(TAKE_OVER, "yes");
    location.reload();
  }

  /** @param {boolean} steal @returns {Promise<boolean>} held until the page goes or another steals it */
  #lock(steal) {
    return new Promise((resolve) => {
      const how = steal ? { steal: true } : { ifAvailable: true };
      navigator.locks
        .request(`labelizer-${this.work}`, how, (lock) => {
          resolve(Boolean(lock));
          return lock ? new Promise(() => {}) : undefined;
        })
        .catch(() => this.onLost());
    });
  }
}

/** @param {IDBDatabase} database @returns {Promise<string>} what tells this browser from any other */
async function nameOfBrowser(database) {
  const store = database.transaction("place", "readwrite").objectStore("place");
  const known = await result(store.get("browser"));
  if (known) return known;
  const made = crypto.randomUUID();
  await result(store.put(made, "browser"));
  return made;
}
