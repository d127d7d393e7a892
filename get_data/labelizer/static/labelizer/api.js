// Requests to the server. Failing to reach it is an exception; a refusal is a reply.

/**
 * @template Body
 * @typedef {{ok: true, status: number, body: Body} | Refusal} Reply
 */
/** @typedef {{ok: false, status: number, body: import("./types").Failure}} Refusal */

/** Name of the work that this page was opened with; the server refuses pages of any other. */
export const WORK = metaContent("work");

/** The server did not answer, or not completely. */
export class Unreachable extends Error {}

/**
 * Return the JSON at a path of the server.
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function get(path) {
  const response = await orUnreachable(fetch(path, { cache: "no-store" }));
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return orUnreachable(response.json());
}

/**
 * Send JSON to a path of the server and return its reply, also when it refuses.
 * @param {string} path
 * @param {object} body
 * @returns {Promise<Reply<any>>}
 */
export async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": metaContent("csrf-token") };
  const content = JSON.stringify({ work: WORK, ...body });
  const response = await orUnreachable(fetch(path, { method: "POST", headers, body: content }));
  const { status } = response;
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  if (response.ok && !isJson) throw new Unreachable(`${path} is answered by another program`);
  if (!isJson) return { ok: false, status, body: { message: `status ${status}` } };
  return { ok: status === 200, status, body: await orUnreachable(response.json()) };
}

/**
 * Await a part of an answer; failing to get it means that the server cannot be reached.
 * @template Value
 * @param {Promise<Value>} part
 * @returns {Promise<Value>}
 */
async function orUnreachable(part) {
  try {
    return await part;
  } catch (error) {
    throw new Unreachable(String(error));
  }
}

/** @param {string} name */
function metaContent(name) {
  return document.querySelector(`meta[name="${name}"]`)?.getAttribute("content") ?? "";
}
