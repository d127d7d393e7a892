// Steps on their way to the server: kept in this browser until the server has them.

import { Unreachable, post } from "./api.js";

/** @typedef {import("./store.js").Operation} Operation */
/** @typedef {{key: number, operation: Operation}} Waiting */
/** @typedef {"saved" | "saving" | "offline" | "full" | "stale" | "elsewhere" | "refused"} Condition */

const BATCH = 50;
const GATHER_MS = 30;
const RETRY_MS = [300, 600, 1200, 2500, 4000];
const STATIONS = { operations: "operations", place: "place" };

/** Tells its listeners of `condition`. */
export class Outbox extends EventTarget {
  /** @param {IDBDatabase} database @param {Waiting[]} waiting */
  constructor(database, waiting) {
    super();
    this.database = database;
    this.waiting = waiting;
    /** @type {Condition} */
    this.condition = waiting.length ? "saving" : "saved";
    this.message = "";
    this.epoch = 0;
    this.sourceChanged = false;
    this.busy = false;
    this.failures = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @param {string} work what tells this work from any other */
  static async open(work) {
    const database = await openDatabase(`labelizer-${work}`, (made) => {
      made.createObjectStore(STATIONS.operations, { autoIncrement: true });
      made.createObjectStore(STATIONS.place);
    });
    return new Outbox(database, await kept(database));
  }

  get unsent() {
    return this.waiting.length;
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
  async add(operation) {
    const transaction = this.database.transaction(STATIONS.operations, "readwrite");
    const request = transaction.objectStore(STATIONS.operations).add(operation);
    transaction.commit(); // at once, not when the browser finds that nothing follows
    /** @type {Waiting} */
    const waiting = { key: -1, operation };
    this.waiting.push(waiting);
    this.#turn(this.condition === "saved" ? "saving" : this.condition);
    waiting.key = Number(await result(request));
    if (this.condition === "saving") this.#schedule(GATHER_MS);
  }

  /** The server answered somebody: what waits is sent at once. */
  reachable() {
    if (this.condition === "offline" && !this.busy) this.#schedule(0);
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
        const batch = this.waiting.slice(0, BATCH).filter((one) => one.key >= 0);
        if (!batch.length) break;
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
    if (answer.status === 409) {
      this.stop();
      this.#turn(answer.body.why === "work" ? "elsewhere" : "stale");
    } else if (answer.status === 507) {
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
    const store = this.#station(STATIONS.operations, "readwrite");
    await Promise.all(batch.map((one) => result(store.delete(one.key))));
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
    this.#station(STATIONS.place, "readwrite").put(hash, "last");
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

/** @param {IDBDatabase} database @returns {Promise<Waiting[]>} */
function kept(database) {
  return new Promise((resolve, reject) => {
    /** @type {Waiting[]} */
    const found = [];
    const request = database.transaction(STATIONS.operations).objectStore(STATIONS.operations).openCursor();
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) return resolve(found);
      found.push({ key: Number(cursor.key), operation: cursor.value });
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
