// Steps on their way to the server: kept in this browser until the server has them.

import { Unreachable, WORK, post } from "./api.js";

/** @typedef {import("./store.js").Operation} Operation */
/** @typedef {{operation: Operation, key: Promise<number | null>, isKept: boolean}} Waiting key: in this browser's storage, null where that failed */
/** @typedef {"saved" | "saving" | "offline" | "locked" | "full" | "stale" | "elsewhere" | "refused"} Condition */

const BATCH = 50;
const MOST_SIGNS = 8_000_000; // in a batch; the server takes somewhat more
const GATHER_MS = 30;
const RETRY_MS = [300, 600, 1200, 2500, 4000];
const REOPEN_MS = 500;
const STATIONS = { operations: "operations", place: "place" };

/** Tells its listeners of `condition`. */
export class Outbox extends EventTarget {
  /** @param {IDBDatabase} database @param {Waiting[]} waiting */
  constructor(database, waiting) {
    super();
    this.database = database;
    this.closed = this.#watchClosing(database);
    this.waiting = waiting;
    this.canKeep = true;
    /** @type {Condition} */
    this.condition = waiting.length ? "saving" : "saved";
    this.message = "";
    this.mayForget = false; // what waits, because the server will never take it
    this.epoch = 0;
    this.sourceChanged = false;
    this.busy = false;
    this.failures = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  static async open() {
    const database = await openStations();
    return new Outbox(database, await kept(database));
  }

  /**
   * Reopen the database when the browser closes it, as it does when its user clears the site's data.
   * @param {IDBDatabase} database
   * @returns {Promise<never>} rejected then: requests under way may get neither success nor error
   */
  #watchClosing(database) {
    /** @type {Promise<never>} */
    const closed = new Promise((_, reject) => {
      database.onclose = () => {
        reject(new Error("the storage was closed"));
        this.#reopen();
      };
    });
    closed.catch(() => {});
    return closed;
  }

  async #reopen() {
    try {
      this.database = await openStations();
    } catch {
      setTimeout(() => this.#reopen(), REOPEN_MS);
      return;
    }
    this.closed = this.#watchClosing(this.database);
    this.canKeep = true;
    this.#turn(this.condition);
    for (const one of this.waiting) one.key = this.#keep(one);
  }

  get unsent() {
    return this.waiting.length;
  }

  /** Whether steps would be lost or held up if this page were closed now. */
  get needsPage() {
    const isSending = this.epoch > 0 && this.condition !== "locked";
    return this.unsent > 0 && (isSending || this.waiting.some((one) => !one.isKept));
  }

  /** Sending begins. @param {number} epoch with which this page may write */
  start(epoch) {
    this.epoch = epoch;
    this.#schedule(0);
  }

  /** This page may not write any more; what waits stays. */
  stop() {
    this.epoch = 0;
    clearTimeout(this.timer);
  }

  /** @param {Operation} operation is kept, and sent soon */
  add(operation) {
    /** @type {Waiting} */
    const waiting = { operation, key: Promise.resolve(null), isKept: false };
    this.waiting.push(waiting);
    waiting.key = this.#keep(waiting);
    this.#turn(this.condition === "saved" ? "saving" : this.condition);
    if (this.condition === "saving") this.#schedule(GATHER_MS);
  }

  /** @param {Waiting} waiting is in the browser's storage too, where that works @returns {Promise<number | null>} its key there */
  async #keep(waiting) {
    let key = null;
    try {
      const transaction = this.database.transaction(STATIONS.operations, "readwrite");
      const request = transaction.objectStore(STATIONS.operations).add(waiting.operation);
      transaction.commit(); // at once, not when the browser finds that nothing follows
      await Promise.race([end(transaction), this.closed]);
      key = Number(request.result);
    } catch {
      // Sent all the same; until then the page must stay open, which is said.
    }
    waiting.isKept = this.canKeep = key !== null;
    this.#turn(this.condition);
    return key;
  }

  /** The server answered somebody: what waits is sent at once. */
  reachable() {
    if (!["offline", "locked"].includes(this.condition) || this.busy) return;
    if (this.epoch) this.#schedule(0);
    else this.#turn("saved"); // as far as this page may write
  }

  /** The server did not answer somebody. */
  unreachable() {
    if (this.condition === "saved" || this.condition === "saving") this.#turn("offline");
  }

  /** @param {number} delay */
  #schedule(delay) {
    clearTimeout(this.timer);
    if (this.epoch) this.timer = setTimeout(() => this.#send(), delay);
  }

  async #send() {
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.epoch && this.waiting.length) {
        const batch = batchOf(this.waiting);
        const operations = batch.map((one) => one.operation);
        const answer = await post("/api/edits", { epoch: this.epoch, operations });
        if (answer.status !== 200) {
          this.refused(answer);
          return;
        }
        this.failures = 0;
        this.sourceChanged = answer.body.source_changed;
        await this.#drop(batch);
      }
      if (this.epoch) this.#turn(this.waiting.length ? "saving" : "saved");
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      this.#turn("offline");
      this.#later();
    } finally {
      this.busy = false;
    }
    if (this.condition === "saving") this.#schedule(GATHER_MS);
  }

  /** @param {{status: number, body: any}} answer of the server, to anything of this page */
  refused(answer) {
    this.message = answer.body.message;
    this.mayForget = answer.body.why === "input";
    if (answer.status === 409) {
      this.stop();
      this.#turn(answer.body.why === "work" ? "elsewhere" : "stale");
    } else if (answer.body.why === "key") {
      this.#turn("locked"); // until the new address is opened in this browser
      if (this.unsent) this.#later();
    } else if (answer.status >= 500) {
      this.#turn("full");
      this.#later();
    } else {
      this.stop();
      this.#turn("refused");
    }
  }

  #later() {
    const delay = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    this.#schedule(delay);
  }

  /** @param {Waiting[]} batch which the server has */
  async #drop(batch) {
    const keys = (await Promise.all(batch.map((one) => one.key))).filter((key) => key !== null);
    try {
      const store = this.#station(STATIONS.operations, "readwrite");
      await Promise.race([Promise.all(keys.map((key) => result(store.delete(key)))), this.closed]);
    } catch {
      // Sent again by the page that opens next, and counted once.
    }
    const gone = new Set(batch);
    this.waiting = this.waiting.filter((one) => !gone.has(one));
    this.#turn(this.condition);
  }

  /** Steps that the server will never take are forgotten. */
  async discard() {
    await this.#drop(this.waiting);
  }

  /** @param {string} hash where one is */
  keepPlace(hash) {
    try {
      this.#station(STATIONS.place, "readwrite").put(hash, "last");
    } catch {
      // Without storage, a page opens at its first picture.
    }
  }

  /** @returns {Promise<string>} where one was */
  async keptPlace() {
    return (await result(this.#station(STATIONS.place, "readonly").get("last"))) ?? "";
  }

  /** @param {string} name @param {IDBTransactionMode} mode */
  #station(name, mode) {
    return this.database.transaction(name, mode).objectStore(name);
  }

  /** @param {Condition} condition */
  #turn(condition) {
    this.condition = condition;
    this.dispatchEvent(new Event("condition"));
  }
}

/** @param {Waiting[]} waiting @returns {Waiting[]} the first of them, so many as go at once */
export function batchOf(waiting) {
  let count = 0;
  let signs = 0;
  while (count < Math.min(waiting.length, BATCH)) {
    signs += JSON.stringify(waiting[count].operation).length;
    if (count && signs > MOST_SIGNS) break;
    count += 1;
  }
  return waiting.slice(0, count);
}

function openStations() {
  return openDatabase(`labelizer-${WORK}`, (made) => {
    made.createObjectStore(STATIONS.operations, { autoIncrement: true });
    made.createObjectStore(STATIONS.place);
  });
}

/** @param {IDBDatabase} database @returns {Promise<Waiting[]>} */
function kept(database) {
  return new Promise((resolve, reject) => {
    /** @type {Waiting[]} */
    const found = [];
    const request = database
      .transaction(STATIONS.operations)
      .objectStore(STATIONS.operations)
      .openCursor();
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) {
        resolve(found);
        return;
      }
      found.push({
        operation: cursor.value,
        key: Promise.resolve(Number(cursor.key)),
        isKept: true,
      });
      cursor.continue();
    };
  });
}

/** @param {string} name @param {(database: IDBDatabase) => void} make @returns {Promise<IDBDatabase>} */
export function openDatabase(name, make) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => make(request.result);
  return result(request);
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} what it wrote is written */
function end(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

/**
 * @template Value
 * @param {IDBRequest<Value>} request
 * @returns {Promise<Value>}
 */
export function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
