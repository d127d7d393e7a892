// The browser's own database (IndexedDB), with promises in place of its events.

/**
 * Open a database of this browser, and create it where there is none yet.
 * @param {string} name
 * @param {(database: IDBDatabase) => void} create  makes its object stores
 * @returns {Promise<IDBDatabase>}
 */
export function openDatabase(name, create) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => create(request.result);
  return resultOf(request);
}

/**
 * @template Value
 * @param {IDBRequest<Value>} request
 * @returns {Promise<Value>}
 */
export function resultOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * Wait until what a transaction wrote is stored.
 * @param {IDBTransaction} transaction
 * @returns {Promise<void>}
 */
export function completed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
