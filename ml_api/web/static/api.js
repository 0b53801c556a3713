/** The HTTP API, as this page uses it. Whatever goes wrong becomes a Failure that a person can read. */

/** @import { Query } from "./query.js" */

/**
 * @typedef {object} Image
 * @property {string} id
 * @property {string} key
 * @property {number} width
 * @property {number} height
 * @property {Record<string, unknown>} metadata
 * @property {{self: string, content: string, thumbnail: string, similar: string}} links
 * @property {number} [score] only in the hits of a search
 */

/**
 * @typedef {object} Answer
 * @property {Image[]} hits
 * @property {number | null} next offset of the next page
 * @property {boolean} truncated
 * @property {{total: number}} timings_ms
 */

const OF_FILE = [413, 415, 422];
const OF_KEY = ["unauthorized", "invalid-api-key", "insufficient-scope"];
const PAGE_SIZE = 24; // full rows of 2, 3, 4, 6 and 8

export class Failure extends Error {
  /**
   * @param {string} title
   * @param {string} detail
   * @param {{requestId?: string, code?: string, final?: boolean, ofFile?: boolean}} [more] final: asking again would change
   *   nothing; ofFile: another image would do
   */
  constructor(title, detail, { requestId = "", code = "", final = false, ofFile = false } = {}) {
    super(detail);
    this.title = title;
    this.requestId = requestId;
    this.code = code;
    this.wantsKey = OF_KEY.includes(code);
    this.final = final;
    this.ofFile = ofFile;
  }
}

/**
 * @param {Query} query
 * @param {number} offset
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export function search(query, offset, signal) {
  const page = new URLSearchParams({ limit: String(PAGE_SIZE), offset: String(offset) });
  if (query.file) {
    const body = new FormData();
    body.append("image", query.file);
    return ask(`v1/search/image?${page}`, { method: "POST", body, signal });
  }
  if (query.like) {
    return ask(`v1/images/${encodeURIComponent(query.like)}/similar?${page}`, { signal });
  }
  page.set("q", query.text);
  return ask(`v1/search/text?${page}`, { signal });
}

/**
 * @param {string} id
 * @returns {Promise<Image>}
 */
export function findImage(id) {
  return ask(`v1/images/${encodeURIComponent(id)}`);
}

/** @returns {Promise<{images: number}>} */
export function stats() {
  return ask("v1/stats");
}

/** @type {(why: string) => Promise<boolean>} */
let askForKey = async () => false;

/** @param {(why: string) => Promise<boolean>} ask called when the API wants a key; whether the visitor has signed in with one */
export function signInBy(ask) {
  askForKey = ask;
}

/**
 * Throws a Failure if the key is not valid.
 * @param {string} key
 */
export async function signIn(key) {
  await send("session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key }) });
}

export async function signOut() {
  await send("session", { method: "DELETE" });
}

/** What is refused for want of a key is asked again once there is one. */
async function ask(path, options) {
  for (;;) {
    try {
      return await send(path, options);
    } catch (failure) {
      if (!failure.wantsKey || !(await askForKey(failure.code === "unauthorized" ? "" : failure.message))) {
        throw failure;
      }
    }
  }
}

async function send(path, options) {
  try {
    const response = await fetch(path, options);
    if (!response.ok) {
      throw await failureOf(response);
    }
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (error instanceof Failure || error.name === "AbortError") {
      throw error;
    }
    // fetch does not tell a server that is down from a network that is, nor json() a connection that was cut
    throw new Failure("The server does not answer", "Check that it is running and that you are connected, then try again.");
  }
}

async function failureOf(response) {
  const requestId = response.headers.get("X-Request-ID") ?? "";
  const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  const { status, statusText } = response;
  const { detail, code } = isProblem ? await response.json() : { detail: `The answer was ${status} ${statusText}.`, code: "" };
  return new Failure(titleOf(status), detail, { requestId, code, final: status < 500, ofFile: OF_FILE.includes(status) });
}

function titleOf(status) {
  switch (status) {
    case 401:
    case 403:
      return "You may not do that here";
    case 404:
      return "There is no such image";
    case 413:
      return "That image is too large";
    case 415:
    case 422:
      return "That file cannot be read as an image";
    case 503:
      return "The search is not available right now";
    case 504:
      return "The search took too long";
    default:
      return status < 500 ? "That search does not work" : "Something went wrong";
  }
}
