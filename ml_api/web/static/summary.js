/** A line on what was found. */

import { isUnlikely } from "./likely.js";

/** @import { StoredImage } from "./api.js" */
/** @import { Found } from "./likely.js" */
/** @import { Query } from "./query.js" */
/** @typedef {{count: string, relation: string, text: string, time: string, note: string}} Summary */

const SO_FAR = " so far"; // short, as on a phone it stands beside buttons

/**
 * @param {Query} query
 * @param {Found} found
 * @returns {Summary}
 */
export function summaryOf(query, found) {
  const { hits, next, count: all, truncated = false, read_as: readAs, timings_ms: timings } = found;
  if (query.terms.length === 0) {
    const isWhole = next === null || all !== undefined;
    const listed = next === null ? hits.length : (all ?? hits.length);
    const relation = query.filter ? ` that ${listed === 1 ? "passes" : "pass"} the filters` : " in no particular order";
    return { count: `${isWhole ? "" : "The first "}${imagesInWords(listed)}`, relation, text: "", note: "", time: "" };
  }
  const [{ text, weight }] = query.terms;
  const isPlain = query.terms.length === 1;
  const kinship = `${weight < 0 ? "least" : "most"} like${text ? "" : " this one"}`;
  const isKinship = isPlain && (weight < 0 || !text);
  return {
    ...counted(found, isKinship ? kinship : null),
    text: isPlain ? (text ?? "") : wordsOf(query),
    note: noteOn(query, truncated, readAs),
    time: timings ? `${Math.max(1, Math.round(timings.total))} ms` : "",
  };
}

/**
 * How many there are: of those that are likely, where that is known. How many are loaded of a ranking says nothing of how many would do.
 * @param {Found} found
 * @param {string | null} kinship to what they are alike; null for words, which they match or not
 */
function counted({ hits, next, least, isSpent }, kinship) {
  const count = hits.filter((hit) => !isUnlikely(hit, least)).length;
  const soFar = next === null || (least !== null && isSpent) ? "" : SO_FAR;
  if (count === 0) {
    return { count: "No likely match", relation: kinship === null ? " for" : "" };
  }
  if (kinship === null && least !== null) {
    return { count: `${count === 1 ? "1 likely match" : `${count} likely matches`}${soFar}`, relation: " for" };
  }
  return { count: `${imagesInWords(count)}${soFar}`, relation: `${soFar && ","} ${kinship ?? "closest to"}` };
}

/**
 * How many hits there are, as far as that is known.
 * @param {Pick<Found, "hits" | "next" | "count">} [answer]
 */
export function extentOf({ hits, next, count } = { hits: [], next: null }) {
  return next === null ? String(hits.length) : String(count ?? `${hits.length} so far`);
}

/** @param {number} count */
export function imagesInWords(count) {
  return count === 1 ? "1 image" : `${new Intl.NumberFormat("en").format(count)} images`;
}

/**
 * A query in words, as for a title.
 * @param {Query} query
 */
export function wordsOf({ terms, filter }) {
  if (terms.length === 0) {
    return filter ? "Some images" : "All images";
  }
  if (terms.length === 1 && terms[0].weight > 0) {
    return terms[0].text ?? "More like this";
  }
  return terms.map(({ text, weight }, at) => `${weight < 0 ? "− " : at > 0 ? "+ " : ""}${text ?? "an image"}`).join(" ");
}

/**
 * @param {Query} query
 * @param {boolean} isTruncated
 * @param {unknown} readAs
 */
function noteOn({ terms }, isTruncated, readAs) {
  if (Array.isArray(readAs) && readAs.length > 0) {
    return `read as ${readAs.map(({ text, weight }) => `${weight < 0 ? "without" : ""} “${text}”`.trim()).join(", ")}`;
  }
  if (terms.some(({ upload }) => upload)) {
    return "a search with your own image has no link to share";
  }
  return isTruncated ? "the model read only the beginning of this description" : "";
}

/**
 * What people call an image.
 * @param {Pick<StoredImage, "metadata" | "key">} image
 */
export function captionOf({ metadata, key }) {
  return typeof metadata.caption === "string" && metadata.caption.trim() ? metadata.caption : key;
}

/**
 * Where the words of the search themselves stand, if they do.
 * @param {StoredImage} image
 */
export function matchedBy({ matched }) {
  const places = new Set(matched?.map((where) => (where === "key" ? "name" : "description")));
  return [...places].join(" and ").replace(/^(?=.)/, "words in its ");
}

/**
 * How likely a hit is a match, where that is known. Its similarity means something only beside others': the large view names it.
 * @param {StoredImage} image
 */
export function scoreOf({ relevance }) {
  return typeof relevance === "number" ? `${Math.round(relevance * 100)} %` : "";
}

/**
 * A similarity, for people: nothing is as much as -0.00.
 * @param {number} score
 * @param {number} digits
 */
export function rounded(score, digits) {
  const text = score.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}
