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
    ...(isKinship ? ranked(hits, next === null, kinship) : matches(found)),
    text: isPlain ? (text ?? "") : wordsOf(query),
    note: noteOn(query, truncated, readAs),
    time: timings ? `${Math.max(1, Math.round(timings.total))} ms` : "",
  };
}

/**
 * How many there are: of those that are likely, where that is known.
 * @param {Found} found
 */
function matches({ hits, next, least, isSpent }) {
  if (least === null) {
    return ranked(hits, next === null, "closest to");
  }
  const likely = hits.filter((hit) => !isUnlikely(hit, least)).length;
  const count = likely === 0 ? "No likely match" : likely === 1 ? "1 likely match" : `${likely} likely matches`;
  return { count: `${count}${next === null || isSpent ? "" : SO_FAR}`, relation: " for" };
}

/**
 * All images have a place in the ranking: how many are loaded says nothing about how many would do.
 * @param {StoredImage[]} hits
 * @param {boolean} isWhole
 * @param {string} kinship
 */
function ranked(hits, isWhole, kinship) {
  const count = imagesInWords(hits.length);
  return isWhole ? { count, relation: ` ${kinship}` } : { count: `${count}${SO_FAR}`, relation: `, ${kinship}` };
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
