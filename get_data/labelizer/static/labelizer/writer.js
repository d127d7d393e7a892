// The right to write: one tab of this browser by a lock, one browser by a lease of the server.

import { WORK, post } from "./api.js";
import { openDatabase, result } from "./outbox.js";

const LOCK = `labelizer-${WORK}`;
const TAKE_OVER = "labelizer-take-over";

export class Writer {
  constructor() {
    this.epoch = 0;
    this.hasLock = false; // among the tabs of this browser; others may write all the same
    this.browser = "";
    this.release = () => {};
    /** Called when another tab or browser has taken over. */
    this.onLost = () => {};
  }

  /** This tab may write, and has an epoch to do it with, unless another one does. */
  async begin() {
    const takeOver = sessionStorage.getItem(TAKE_OVER) === "yes";
    sessionStorage.removeItem(TAKE_OVER);
    this.browser = await nameOfBrowser();
    if (!(await this.#lock(takeOver))) return;
    const { status, body } = await post("/api/lease", {
      browser: this.browser,
      take_over: takeOver,
    });
    if (status !== 200) throw new Error(body.message);
    this.epoch = body.epoch ?? 0;
  }

  /** The page opens again, with what other tabs did meanwhile, and is the one that writes. */
  takeOverOnReload() {
    sessionStorage.setItem(TAKE_OVER, "yes");
    location.reload();
  }

  /** @returns {Promise<boolean>} whether another tab of this browser holds the lock */
  async isLocked() {
    if (this.hasLock) return false;
    const { held } = await navigator.locks.query();
    return Boolean(held?.some((lock) => lock.name === LOCK));
  }

  /** @param {(value: undefined) => void} release */
  #letGo(release) {
    this.hasLock = false;
    release(undefined);
  }

  /** @param {boolean} steal @returns {Promise<boolean>} held until the page goes or another steals it */
  #lock(steal) {
    return new Promise((resolve) => {
      const how = steal ? { steal: true } : { ifAvailable: true };
      navigator.locks
        .request(LOCK, how, (lock) => {
          this.hasLock = Boolean(lock);
          resolve(this.hasLock);
          return lock
            ? new Promise((release) => (this.release = () => this.#letGo(release)))
            : undefined;
        })
        .catch(() => {
          this.hasLock = false;
          this.onLost();
        });
    });
  }
}

/** @returns {Promise<string>} what tells this browser from any other */
async function nameOfBrowser() {
  const database = await openDatabase("labelizer", (made) => made.createObjectStore("browser"));
  const store = database.transaction("browser", "readwrite").objectStore("browser");
  const known = await result(store.get("name"));
  const name = known ?? crypto.randomUUID();
  if (!known) await result(store.put(name, "name"));
  database.close();
  return name;
}
