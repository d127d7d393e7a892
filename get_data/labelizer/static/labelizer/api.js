// Requests to the server. Failing to reach it is an exception; a refusal is an answer.

const told = (/** @type {string} */ name) => document.querySelector(`meta[name="${name}"]`)?.getAttribute("content") ?? "";
/** What tells the work that this page was opened with from any other. */
export const WORK = told("work");

/** The server did not answer. */
export class Unreachable extends Error {}

/**
 * @param {string} path
 * @returns {Promise<any>} the JSON that it answers
 */
export async function get(path) {
  const answer = await reach(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<{status: number, body: any}>} whatever it answers
 */
export async function post(path, body) {
  const answer = await reach(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": told("csrf-token") },
    body: JSON.stringify({ work: WORK, ...body }),
  });
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  return { status: answer.status, body: isJson ? await answer.json() : { message: `status ${answer.status}` } };
}

/** @param {string} path @param {RequestInit} how */
async function reach(path, how) {
  try {
    return await fetch(path, how);
  } catch (error) {
    throw new Unreachable(String(error));
  }
}
