// Requests to the server. Failing to reach it is an exception; a refusal is an answer.

const told = (/** @type {string} */ name) =>
  document.querySelector(`meta[name="${name}"]`)?.getAttribute("content") ?? "";
/** What tells the work that this page was opened with from any other. */
export const WORK = told("work");

/** The server did not answer, or not to the end. */
export class Unreachable extends Error {}

/**
 * @param {string} path
 * @returns {Promise<any>} the JSON that it answers
 */
export async function get(path) {
  const answer = await whole(fetch(path, { cache: "no-store" }));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return whole(answer.json());
}

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<{status: number, body: any}>} whatever it answers
 */
export async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": told("csrf-token") };
  const answer = await whole(
    fetch(path, { method: "POST", headers, body: JSON.stringify({ work: WORK, ...body }) }),
  );
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  if (answer.ok && !isJson) throw new Unreachable(`${path} is answered by another program`);
  return {
    status: answer.status,
    body: isJson ? await whole(answer.json()) : { message: `status ${answer.status}` },
  };
}

/**
 * @template Value
 * @param {Promise<Value>} answer
 * @returns {Promise<Value>}
 */
async function whole(answer) {
  try {
    return await answer;
  } catch (error) {
    throw new Unreachable(String(error));
  }
}
