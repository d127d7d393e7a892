// The right to write: among the tabs of this browser by a lock, among browsers by a lease.

import { WORK, post } from "./api.js";
import { openDatabase, resultOf } from "./storage.js";

const LOCK = `labelizer-${WORK}`;
const TAKE_OVER = "labelizer-take-over";

export class Writer {
  constructor() {
    /** Number of the lease, which requests that write carry; 0 without a lease. */
    this.epoch = 0;
    this.hasLock = false;
    this.browser = "";
    /** Release the lock to another tab. */
    this.release = () => {};
    /** Called when another tab or browser has taken over. */
    this.onLost = () => {};
  }

  /** Take lock and lease, unless another tab or browser holds them. */
  async acquire() {
    const steal = sessionStorage.getItem(TAKE_OVER) === "yes";
    sessionStorage.removeItem(TAKE_OVER);
    this.browser = await browserId();
    // The lock first: to the server, all tabs of this browser are the same holder.
    if (!(await this.#takeLock(steal))) return;
    /** @type {import("./api.js").Reply<import("./types").LeaseReply>} */
    const reply = await post("/api/lease", { browser: this.browser, take_over: steal });
    if (!reply.ok) throw new Error(reply.body.message);
    this.epoch = reply.body.epoch ?? 0;
  }

  /** Reload the page as the one that writes, with what other tabs have done meanwhile. */
  takeOver() {
    sessionStorage.setItem(TAKE_OVER, "yes");
    location.reload();
  }

  /** Return whether another tab of this browser holds the lock. */
  async isLockedElsewhere() {
    if (this.hasLock) return false;
    const { held } = await navigator.locks.query();
    return held?.some((lock) => lock.name === LOCK) ?? false;
  }

  /**
   * Take the lock and hold it until the page closes, releases it, or another tab steals it.
   * @param {boolean} steal
   * @returns {Promise<boolean>} whether this tab has it
   */
  #takeLock(steal) {
    return new Promise((resolve) => {
      const options = steal ? { steal: true } : { ifAvailable: true };
      navigator.locks
        .request(LOCK, options, (lock) => {
          this.hasLock = Boolean(lock);
          resolve(this.hasLock);
          // The lock is held as long as this promise is pending.
          return lock ? this.#pendingUntilRelease() : undefined;
        })
        .catch(() => {
          this.hasLock = false;
          this.onLost();
        });
    });
  }

  #pendingUntilRelease() {
    return new Promise((resolve) => {
      this.release = () => {
        this.hasLock = false;
        resolve(undefined);
      };
    });
  }
}

/** Return what tells this browser from any other; made at first use. */
async function browserId() {
  const database = await openDatabase("labelizer", (created) =>
    created.createObjectStore("browser"),
  );
  const store = database.transaction("browser", "readwrite").objectStore("browser");
  const known = await resultOf(store.get("name"));
  const name = known ?? crypto.randomUUID();
  if (!known) await resultOf(store.put(name, "name"));
  database.close();
  return /** @type {string} */ (name);
}
