/** Requests to the API, and again once there is a key. Whatever goes wrong becomes a Failure that a person can read. */

import { Failure, failureOf, unanswered } from "./failures.js";

/** @type {(why: string) => Promise<boolean>} */
let askForKey = async () => false;

/** @param {(why: string) => Promise<boolean>} ask called when the API wants a key; whether the visitor has signed in with one */
export function signInBy(ask) {
  askForKey = ask;
}

/**
 * What is refused for want of a key is asked again once there is one.
 * @param {string} path
 * @param {RequestInit} [options]
 */
export async function ask(path, options) {
  for (;;) {
    try {
      return await readJson(await send(path, options));
    } catch (failure) {
      const wantsKey = failure instanceof Failure && failure.wantsKey;
      if (!wantsKey || !(await askForKey(failure.code === "unauthorized" ? "" : failure.said))) {
        throw failure;
      }
    }
  }
}

/** @param {unknown} body */
export function withJson(body) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/**
 * For answers that are no JSON.
 * @param {string} path
 * @param {RequestInit} [options]
 */
export async function send(path, options) {
  const response = await whole(fetch(path, options));
  if (!response.ok) {
    throw await whole(failureOf(response));
  }
  return response;
}

/** @param {Response} response */
function readJson(response) {
  return response.status === 204 ? null : whole(response.json());
}

/**
 * @template Part
 * @param {Promise<Part>} part of an answer
 * @returns {Promise<Part>}
 */
async function whole(part) {
  try {
    return await part;
  } catch (error) {
    throw error instanceof DOMException && error.name === "AbortError" ? error : unanswered();
  }
}
