/** One file on its way to the server, under a key, and what became of it. It never takes the place of a picture that nobody saw. */

import { inOneLine, problemOf } from "../failures.js";
import { ask } from "../requests.js";

/** @import { StoredImage } from "../api.js" */
/** @import { Outcome, rowOf } from "./row.js" */
/**
 * seen: the ETag of the picture that may be replaced; isDecided: it was said what to do about that.
 * @typedef {{folder: string, file: File, row: ReturnType<typeof rowOf>, number: number, bothAreKept: boolean, seen?: string, isDecided?: boolean}} Upload
 */
/** @typedef {{id: string, key: string, state: string, duplicate_of: string | null}} Uploaded */

const WAIT_S = 20; // for the index to follow, before the answer
const PATIENCE_MS = 30_000; // longer than that wait
const ANY = "*";

/**
 * @param {Upload} upload its `seen` becomes what is there, where its name is taken
 * @returns {Promise<Outcome | "taken">}
 */
export async function put(upload) {
  for (;;) {
    const key = keyOf(upload);
    const answer = await sent(upload, key);
    const code = answer.response?.code;
    if (code === "already-there") {
      return withImage({ text: "Was there already:", was: true }, key);
    }
    if (code !== "precondition-failed") {
      return outcomeOf(answer, upload.number > 1 ? key : "");
    }
    const there = answer.getResponseHeader("ETag");
    if (upload.seen && !there) {
      upload.seen = undefined; // it has gone meanwhile, or changes
    } else if (upload.bothAreKept) {
      upload.number += 1;
    } else {
      upload.seen = there ?? ANY;
      return "taken";
    }
  }
}

/**
 * `image.jpg`, and with the number 2 `image (2).jpg`.
 * @param {Upload} upload
 */
function keyOf({ folder, file: { name }, number }) {
  const ending = /\.[^.]+$/.exec(name)?.[0] ?? "";
  const kept = number > 1 ? `${name.slice(0, name.length - ending.length)} (${number})${ending}` : name;
  return folder ? `${folder}/${kept}` : kept;
}

/**
 * @param {Upload} upload
 * @param {string} key
 * @returns {Promise<XMLHttpRequest>} with the status 0 if there was no answer
 */
function sent({ file, row, seen, bothAreKept }, key) {
  const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
  const telling = setTimeout(() => row.waits(), PATIENCE_MS);
  const path = key.split("/").map(encodeURIComponent).join("/");
  request.open("PUT", `v1/images/by-key/${path}?wait=${WAIT_S}`);
  if (seen && !bothAreKept) {
    request.setRequestHeader("If-Match", seen);
  } else {
    request.setRequestHeader("If-None-Match", ANY);
  }
  request.responseType = "json";
  request.upload.addEventListener("progress", ({ loaded, total }) => row.sent(total > 0 ? loaded / total : 0));
  request.send(file);
  return new Promise((resolve) => {
    request.addEventListener("loadend", () => {
      clearTimeout(telling);
      resolve(request);
    });
  });
}

/**
 * @param {XMLHttpRequest} request
 * @param {string} key under which it is kept, if that is not its name; else ""
 * @returns {Promise<Outcome>}
 */
async function outcomeOf({ status, response }, key) {
  if (status === 0 || (status < 400 && !response)) { // what is no JSON comes from a proxy
    return { text: "The server does not answer", wrong: true, again: true };
  }
  if (status >= 400) {
    const failure = problemOf(response ?? { detail: "", code: "" }, status, "");
    return { text: inOneLine(failure), said: failure.said, wrong: true, again: !failure.final };
  }
  const { state, duplicate_of: other } = /** @type {Uploaded} */ (response);
  const named = key ? `, as ${key}` : "";
  switch (state) {
    case "searchable":
    case "queued": {
      const text = `${state === "queued" ? "Stored; can be found soon" : "Can be found"}${named}`;
      return other === null ? { text } : withImage({ text: `${text}. The same picture is there as` }, other);
    }
    case "superseded":
      return { text: "Another upload took its place" };
    default:
      return { text: "Stored, but the model cannot read it", wrong: true };
  }
}

/**
 * An outcome that names a picture, with a link to it as far as it is indexed.
 * @param {Outcome} outcome
 * @param {string} key
 * @returns {Promise<Outcome>}
 */
async function withImage(outcome, key) {
  try {
    /** @type {{images: StoredImage[]}} */
    const { images: [image] } = await ask(`v1/images?${new URLSearchParams({ limit: "1", filter: JSON.stringify({ key: { eq: key } }) })}`);
    return image ? { ...outcome, of: image } : { ...outcome, text: `${outcome.text} ${key}` };
  } catch {
    return { ...outcome, text: `${outcome.text} ${key}` };
  }
}
