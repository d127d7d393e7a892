// Steps on their way to the server: stored in this browser until the server has them.

import { Unreachable, WORK, post } from "./api.js";
import { completed, openDatabase, resultOf } from "./storage.js";

/** @typedef {import("./types").Operation} Operation */

/**
 * A step that the server does not have yet.
 * @typedef {object} Waiting
 * @property {Operation} operation
 * @property {Promise<number | null>} key  in this browser's storage; null where storing it failed
 * @property {boolean} isStored
 */

/**
 * How sending goes. `locked`: the server has a new address; `full`: it cannot save; `stale`: another
 * page has the lease; `elsewhere`: it serves other work; `refused`: it does not accept the steps.
 * @typedef {"saved" | "saving" | "offline" | "locked" | "full" | "stale" | "elsewhere" | "refused"}
 *   Condition
 */

const MAX_BATCH = 50;
const MAX_BATCH_CHARS = 8_000_000; // the server accepts somewhat more
const BATCHING_MS = 30;
const RETRY_MS = [300, 600, 1200, 2500, 4000];
const REOPEN_MS = 500;
const STORES = { operations: "operations", place: "place" };

/** Steps to send, in order. Dispatches `condition`. */
export class Outbox extends EventTarget {
  /** @param {IDBDatabase} database @param {Waiting[]} waiting */
  constructor(database, waiting) {
    super();
    this.database = database;
    this.closed = this.#watchClosing(database);
    this.waiting = waiting;
    /** Whether this browser's storage works. */
    this.canStore = true;
    /** @type {Condition} */
    this.condition = waiting.length ? "saving" : "saved";
    this.message = "";
    /** Whether the server will never accept what waits, so that it may be discarded. */
    this.canDiscard = false;
    /** Number of the lease; 0 while this page may not write. */
    this.epoch = 0;
    this.sourceChanged = false;
    this.isSending = false;
    this.failures = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** Open the storage, with the steps that an earlier page left there. */
  static async open() {
    const database = await openStorage();
    return new Outbox(database, await storedSteps(database));
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
      this.database = await openStorage();
    } catch {
      setTimeout(() => this.#reopen(), REOPEN_MS);
      return;
    }
    this.closed = this.#watchClosing(this.database);
    this.canStore = true;
    this.#setCondition(this.condition);
    // The new database is empty: store again whatever the server does not have.
    for (const step of this.waiting) step.key = this.#store(step);
  }

  get unsent() {
    return this.waiting.length;
  }

  /** Whether steps would be lost or held up if this page were closed now. */
  get mustStayOpen() {
    const isSent = this.epoch > 0 && this.condition !== "locked";
    return this.unsent > 0 && (isSent || this.waiting.some((step) => !step.isStored));
  }

  /**
   * Begin to send.
   * @param {number} epoch  number of the lease
   */
  start(epoch) {
    this.epoch = epoch;
    this.#schedule(0);
  }

  /** Stop sending, as this page may not write any more; what waits stays. */
  stop() {
    this.epoch = 0;
    clearTimeout(this.timer);
  }

  /**
   * Store a step and send it soon.
   * @param {Operation} operation
   */
  add(operation) {
    /** @type {Waiting} */
    const step = { operation, key: Promise.resolve(null), isStored: false };
    // In memory first: it is sent even if the storage fails.
    this.waiting.push(step);
    step.key = this.#store(step);
    this.#setCondition(this.condition === "saved" ? "saving" : this.condition);
    if (this.condition === "saving") this.#schedule(BATCHING_MS);
  }

  /**
   * Put a step into the browser's storage, where that works.
   * @param {Waiting} step
   * @returns {Promise<number | null>} its key there
   */
  async #store(step) {
    let key = null;
    try {
      const transaction = this.database.transaction(STORES.operations, "readwrite");
      const request = transaction.objectStore(STORES.operations).add(step.operation);
      transaction.commit(); // now, rather than when the browser finds that nothing follows
      await Promise.race([completed(transaction), this.closed]);
      key = Number(request.result);
    } catch {
      // It is sent all the same; until then the page must stay open, and a bar says so.
    }
    step.isStored = this.canStore = key !== null;
    this.#setCondition(this.condition);
    return key;
  }

  /** Note that the server answered: what waits is sent now. */
  noteReachable() {
    if (!["offline", "locked"].includes(this.condition) || this.isSending) return;
    if (this.epoch) this.#schedule(0);
    else this.#setCondition("saved"); // nothing that this page may send
  }

  /** Note that the server did not answer. */
  noteUnreachable() {
    if (this.condition === "saved" || this.condition === "saving") this.#setCondition("offline");
  }

  /** @param {number} delay */
  #schedule(delay) {
    clearTimeout(this.timer);
    if (this.epoch) this.timer = setTimeout(() => this.#send(), delay);
  }

  async #send() {
    if (this.isSending) return;
    this.isSending = true;
    try {
      while (this.epoch && this.waiting.length) {
        // One request at a time and in order: a step may undo the one before.
        const batch = nextBatch(this.waiting);
        const operations = batch.map((step) => step.operation);
        /** @type {import("./api.js").Reply<import("./types").EditsReply>} */
        const reply = await post("/api/edits", { epoch: this.epoch, operations });
        if (!reply.ok) {
          this.handleRefusal(reply);
          return;
        }
        this.failures = 0;
        this.sourceChanged = reply.body.source_changed;
        // Only now: whatever is removed before the server has it could be lost.
        await this.#remove(batch);
      }
      if (this.epoch) this.#setCondition(this.waiting.length ? "saving" : "saved");
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      this.#setCondition("offline");
      this.#retry();
    } finally {
      this.isSending = false;
    }
    // Steps that were added while the last batch was removed.
    if (this.condition === "saving") this.#schedule(BATCHING_MS);
  }

  /**
   * Act on a refusal of the server, of any request of this page.
   * @param {import("./api.js").Refusal} refusal
   */
  handleRefusal({ status, body }) {
    this.message = body.message;
    this.canDiscard = body.why === "input";
    // Another page has the lease, or the server other work: nothing from here is accepted.
    if (status === 409) {
      this.stop();
      this.#setCondition(body.why === "work" ? "elsewhere" : "stale");
    } else if (body.why === "key") {
      this.#setCondition("locked"); // until the new address is opened in this browser
      if (this.unsent) this.#retry();
    } else if (status >= 500) {
      // The server cannot save. What waits is kept here and sent again.
      this.#setCondition("full");
      this.#retry();
    } else {
      // Sent again, the same steps would be refused again.
      this.stop();
      this.#setCondition("refused");
    }
  }

  #retry() {
    const delay = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    this.#schedule(delay);
  }

  /** @param {Waiting[]} batch */
  async #remove(batch) {
    const keys = (await Promise.all(batch.map((step) => step.key))).filter((key) => key !== null);
    try {
      const store = this.#objectStore(STORES.operations, "readwrite");
      const removed = Promise.all(keys.map((key) => resultOf(store.delete(key))));
      await Promise.race([removed, this.closed]);
    } catch {
      // The page that opens next sends them again, and the server counts them once.
    }
    const sent = new Set(batch);
    this.waiting = this.waiting.filter((step) => !sent.has(step));
    this.#setCondition(this.condition);
  }

  /** Discard the steps that the server will never accept. */
  async discard() {
    await this.#remove(this.waiting);
  }

  /**
   * Store where one is, for the page that opens next.
   * @param {string} hash
   */
  storePlace(hash) {
    try {
      this.#objectStore(STORES.place, "readwrite").put(hash, "last");
    } catch {
      // Without storage, a page opens at its first picture.
    }
  }

  /** @returns {Promise<string>} where one was; "" if unknown */
  async storedPlace() {
    return (await resultOf(this.#objectStore(STORES.place, "readonly").get("last"))) ?? "";
  }

  /** @param {string} name @param {IDBTransactionMode} mode */
  #objectStore(name, mode) {
    return this.database.transaction(name, mode).objectStore(name);
  }

  /** @param {Condition} condition */
  #setCondition(condition) {
    this.condition = condition;
    this.dispatchEvent(new Event("condition"));
  }
}

/**
 * Return the steps to send next: as many as the server accepts at once, and at least one.
 * @param {Waiting[]} waiting
 */
export function nextBatch(waiting) {
  let count = 0;
  let chars = 0;
  while (count < Math.min(waiting.length, MAX_BATCH)) {
    chars += JSON.stringify(waiting[count].operation).length;
    if (count && chars > MAX_BATCH_CHARS) break;
    count += 1;
  }
  return waiting.slice(0, count);
}

function openStorage() {
  return openDatabase(`labelizer-${WORK}`, (created) => {
    created.createObjectStore(STORES.operations, { autoIncrement: true });
    created.createObjectStore(STORES.place);
  });
}

/** @param {IDBDatabase} database @returns {Promise<Waiting[]>} */
function storedSteps(database) {
  return new Promise((resolve, reject) => {
    /** @type {Waiting[]} */
    const steps = [];
    const request = database
      .transaction(STORES.operations)
      .objectStore(STORES.operations)
      .openCursor();
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) {
        resolve(steps);
        return;
      }
      const key = Promise.resolve(Number(cursor.key));
      steps.push({ operation: cursor.value, key, isStored: true });
      cursor.continue();
    };
  });
}
