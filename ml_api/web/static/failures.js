/** Whatever goes wrong, in words for people: what happened and what to do. What the server said stands below, for who can use it. */

/** @import { Filter } from "./query.js" */
/** @typedef {{words: string, filter: Filter | null}} Way out: another filter with which there would be something */

const OF_FILE = [413, 415, 422];
const OF_KEY = ["unauthorized", "invalid-api-key", "insufficient-scope"];

export class Failure extends Error {
  /**
   * @param {string} title
   * @param {string} advice
   * @param {{said?: string, requestId?: string, code?: string, final?: boolean, ofFile?: boolean, unreached?: boolean, ways?: Way[]}} [more] said:
   *   in the server's own words; final: asking again would change nothing; ofFile: another image would do; unreached: nobody said anything
   */
  constructor(title, advice, { said = "", requestId = "", code = "", final = false, ofFile = false, unreached = false, ways = [] } = {}) {
    super(advice);
    this.title = title;
    this.said = said;
    this.requestId = requestId;
    this.code = code;
    this.wantsKey = OF_KEY.includes(code);
    this.final = final;
    this.ofFile = ofFile;
    this.unreached = unreached;
    this.ways = ways;
  }
}

/**
 * In one line, where there is room for no more.
 * @param {unknown} failure
 */
export function inOneLine(failure) {
  return failure instanceof Failure ? `${failure.title}. ${failure.message}` : String(failure);
}

/** fetch does not tell a server that is down from a network that is, nor json() a connection that was cut. */
export function unanswered() {
  return new Failure("The server does not answer", "Check that it is running and that you are connected, then try again.", { unreached: true });
}

/** An image of the visitor's own, after a reload. */
export function imageLost() {
  return new Failure("That image is no longer at hand", "An image from your device is kept only while this page is open. Choose it again.", {
    final: true,
    ofFile: true,
  });
}

/** @param {number} seconds */
export function abandoned(seconds) {
  return new Failure("Search cancelled", `The server had not answered for ${seconds} seconds. It may be busy, or hang.`);
}

/**
 * Which file it is that cannot be searched with.
 * @param {Failure} failure
 * @param {string[]} names of the visitor's files
 */
export function naming(failure, names) {
  if (failure.ofFile && names.length > 0) {
    failure.message = `The file ${names.join(", ")}: ${failure.message}`;
  }
  return failure;
}

/**
 * @param {Response} response an answer that is no success
 * @returns {Promise<Failure>}
 */
export async function failureOf(response) {
  const { status, statusText, headers } = response;
  const isProblem = headers.get("Content-Type")?.startsWith("application/problem+json");
  const problem = isProblem ? await response.json() : { detail: `${status} ${statusText}`, code: "" };
  return problemOf(problem, status, headers.get("X-Request-ID") ?? "");
}

/**
 * @param {{detail: string, code: string}} problem
 * @param {number} status
 * @param {string} requestId
 */
export function problemOf({ detail, code }, status, requestId) {
  const [title, advice] = wordsFor(status, code);
  return new Failure(title, advice, { said: detail, requestId, code, final: status < 500, ofFile: OF_FILE.includes(status) });
}

/**
 * @param {number} status
 * @param {string} code
 * @returns {[title: string, advice: string]}
 */
function wordsFor(status, code) {
  switch (code) {
    case "corpus-read-only":
      return ["Images cannot be changed here", "This service only reads its images. Change them where they are kept."];
    case "insufficient-scope":
      return ["You may not do that here", "Your API key does not allow it. Sign in with another one."];
    case "invalid-key":
      return ["No image can be stored under that name", "Rename the file, or choose another folder."];
    case "image-too-costly":
      return ["That image is too large", "It would take the server too long to read. Choose a smaller version of it."];
    case "overloaded":
      return ["Too many searches at once", "The server is busy. Try again in a moment."];
    default:
      return wordsForStatus(status);
  }
}

/**
 * @param {number} status
 * @returns {[title: string, advice: string]}
 */
function wordsForStatus(status) {
  switch (status) {
    case 401:
      return ["Sign in to go on", "This service asks for an API key."];
    case 403:
      return ["You may not do that here", "Ask whoever runs this service to allow it."];
    case 404:
      return ["There is no such image", "It may have been deleted or renamed since this link was made."];
    case 413:
      return ["That image is too large", "Choose a smaller version of it."];
    case 415:
    case 422:
      return ["That file cannot be read as an image", "It may be damaged, or of a kind that is not supported. Choose another one."];
    case 503:
      return ["The search is not available right now", "Part of the server is resting or starting. Try again in a moment."];
    case 504:
      return ["The search took too long", "The server may be busy. Try again in a moment."];
    case 507:
      return ["There is no room left", "The disk of the server is full. Whoever runs it has to make room."];
    default:
      return status < 500
        ? ["That search does not work", "Something in it, or in the link that led here, is not as the server expects. Change it, or start anew."]
        : ["Something went wrong", "It is not your search: the server made a mistake. Try again; if it stays, tell whoever runs it."];
  }
}
