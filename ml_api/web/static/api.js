/** The HTTP API, as this page uses it. */

import { ask, send, withJson } from "./requests.js";

/** @import { Filter, Marks } from "./query.js" */

/**
 * @typedef {object} StoredImage
 * @property {string} id
 * @property {string} key
 * @property {number} width
 * @property {number} height
 * @property {Record<string, unknown>} metadata
 * @property {{self: string, content: string, thumbnail: string, similar: string}} links
 * @property {number} [score] only in the hits of a search
 * @property {string} [query_id] of the search that found it
 * @property {{size: number, hits: StoredImage[]} | null} [group] the images that it stands for, and the first of the others
 * @property {string[] | null} [matched] where the words themselves were found, if they were: "key", or fields of the metadata
 * @property {number | null} [relevance] how likely it is a match, 0 to 1; null where nothing is calibrated
 */

/** @typedef {string | number} Next where the next page begins */

/**
 * @typedef {object} Answer
 * @property {StoredImage[]} hits
 * @property {Next | null} next
 * @property {Facets | null} [facets]
 * @property {boolean | null} [confident] whether there is likely a match among the images
 * @property {boolean} [truncated]
 * @property {number} [count] of all images on all pages, where that is known
 * @property {string[] | null} [warnings] what is likely to be wrong with a filter that no image passes
 * @property {unknown} [read_as] how a text was read, if not as it stands
 * @property {{total: number}} [timings_ms]
 */

/** @typedef {{text?: string, id?: string, image?: Blob, weight: number}} SentTerm */
/** @typedef {{terms: SentTerm[], filter: Filter | string | null, marks?: Marks | null, apart?: boolean}} SentQuery */
/** @typedef {{limit: number, after?: Next, facets?: string[]}} Slice of the hits; after: `next` of the page before; facets: fields to count */
/** @typedef {{over: number, fields: Record<string, {value: string | number | boolean, count: number}[]>}} Facets */

export const MAX_LIMIT = 100; // of one answer

/**
 * A single term goes the simple way, whose answers caches and logs know by its name; what is composed goes as JSON.
 * @param {SentQuery} query
 * @param {Slice} slice
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export async function search(query, slice, signal) {
  if (query.terms.length === 0) {
    return list(query.filter, slice, signal);
  }
  const answer = await found(query, slice, signal);
  return { ...answer, hits: answer.hits.map((hit) => hitOf(hit, answer.query_id)), next: answer.next_cursor ?? answer.next };
}

/**
 * A hit, and the images that it stands for, of which less is told.
 * @param {StoredImage} hit
 * @param {string} queryId
 * @returns {StoredImage}
 */
function hitOf(hit, queryId) {
  const group = hit.group && { ...hit.group, hits: hit.group.hits.map((other) => ({ ...other, metadata: {}, query_id: queryId })) };
  return { ...hit, query_id: queryId, group };
}

/**
 * @param {SentQuery} query
 * @param {Slice} slice
 * @param {AbortSignal} signal
 * @returns {Promise<Answer & {query_id: string, next_cursor?: string | null}>}
 */
async function found({ terms, filter, marks, apart }, { limit, after, facets }, signal) {
  const [term] = terms;
  const place = after === undefined ? {} : typeof after === "string" ? { cursor: after } : { offset: after };
  const given = { limit, ...place, ...(!apart && { group: "duplicates" }) };
  if (terms.length > 1 || term.weight < 0 || marks) {
    const composed = await Promise.all(terms.map(composedTerm));
    const refined = marks && { more_like: marks.more, less_like: marks.less };
    return ask("v1/search", { ...withJson({ ...given, query: composed, ...(filter && { filter }), ...(facets && { facets }), ...refined }), signal });
  }
  const parameters = new URLSearchParams({ ...(filter && { filter: JSON.stringify(filter) }), ...(facets && { facets: facets.join() }) });
  Object.entries(given).forEach(([name, value]) => parameters.set(name, String(value)));
  if (term.image) {
    const body = new FormData();
    body.append("image", term.image);
    return ask(`v1/search/image?${parameters}`, { method: "POST", body, signal });
  }
  if (term.id) {
    return ask(`v1/images/${encodeURIComponent(term.id)}/similar?${parameters}`, { signal });
  }
  parameters.set("q", term.text ?? "");
  return ask(`v1/search/text?${parameters}`, { signal });
}

/**
 * Stored images, in no order that would mean something.
 * @param {Filter | string | null} filter
 * @param {Slice} slice
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export async function list(filter, { limit, after }, signal) {
  const parameters = new URLSearchParams({
    limit: String(limit),
    ...(after && { cursor: String(after) }),
    ...(filter && { filter: JSON.stringify(filter) }),
  });
  const { images, next, warnings } = await ask(`v1/images?${parameters}`, { signal });
  return { hits: images, next, warnings };
}

/**
 * How many stored images pass.
 * @param {Filter | string | null} filter
 * @param {AbortSignal} signal
 * @returns {Promise<number>}
 */
export async function countPassing(filter, signal) {
  const parameters = new URLSearchParams({ limit: "1", count: "true", ...(filter && { filter: JSON.stringify(filter) }) });
  return (await ask(`v1/images?${parameters}`, { signal })).count;
}

/**
 * What a visitor thinks of a hit.
 * @param {string} queryId of the answer that has it
 * @param {string} id
 * @param {string} verdict
 */
export async function giveFeedback(queryId, id, verdict) {
  await send("v1/feedback", { ...withJson({ query_id: queryId, id, verdict }), keepalive: true });
}

/** @typedef {{rows: number, columns: number, heat: number[][]}} HeatMap from 0, where a text is found least, to 1, where most */

/**
 * @param {string} id
 * @param {string} text
 * @param {AbortSignal} signal
 * @returns {Promise<HeatMap>}
 */
export function heatMap(id, text, signal) {
  return ask(`v1/images/${encodeURIComponent(id)}/heatmap?${new URLSearchParams({ q: text })}`, { signal });
}

/** @returns {Promise<import("./filters/fields.js").Known>} */
export function knownFields() {
  return ask("v1/metadata");
}

/**
 * @param {string} id
 * @returns {Promise<StoredImage>}
 */
export function findImage(id) {
  return ask(`v1/images/${encodeURIComponent(id)}`);
}

/**
 * The file of a stored image.
 * @param {string} address
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>}
 */
export async function fetchFile(address, signal) {
  return (await send(address, { signal })).blob();
}

/** @returns {Promise<{images: number}>} */
export function stats() {
  return ask("v1/stats");
}

/**
 * Throws a Failure if the key is not valid.
 * @param {string} key
 */
export async function signIn(key) {
  await send("session", withJson({ key }));
}

export async function signOut() {
  await send("session", { method: "DELETE" });
}

/** @param {SentTerm} term */
async function composedTerm({ image, ...term }) {
  return image ? { ...term, image: await dataUri(image) } : term;
}

/**
 * @param {Blob} blob
 * @returns {Promise<string>}
 */
function dataUri(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(String(reader.result)));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}
