/** What is known of an image, as rows of names and values. */

import { rounded } from "./summary.js";

/** @import { StoredImage } from "./api.js" */

/**
 * @param {StoredImage} image
 * @returns {[name: string, value: string][]}
 */
export function factsOf({ width, height, score, relevance, metadata }) {
  const { caption, ...others } = metadata;
  const facts = typeof caption === "string" ? others : metadata; // as a text it is the heading
  /** @type {[string, string][]} */
  const similarity = score === undefined ? [] : [["Similarity", rounded(score, 3)]];
  if (typeof relevance === "number") {
    similarity.unshift(["Likely a match", `${Math.round(relevance * 100)} %`]);
  }
  const rows = Object.entries(facts).flatMap(([name, value]) => rowsOf(name, value));
  return [["Size", `${width} × ${height}`], ...similarity, ...rows.map(([name, value]) => /** @type {[string, string]} */ ([wordsOf(name), value]))];
}

/**
 * Metadata is any JSON: objects become rows of dotted names, lists are written in one.
 * @param {string} name
 * @param {unknown} value
 * @returns {[name: string, value: string][]}
 */
function rowsOf(name, value) {
  if (value === null || value === undefined || value === "") {
    return [];
  }
  if (Array.isArray(value)) {
    return [[name, value.map(written).join(typeof value[0] === "object" ? "; " : ", ")]];
  }
  if (typeof value === "object") {
    return Object.entries(value).flatMap(([inner, within]) => rowsOf(`${name}.${inner}`, within));
  }
  return [[name, String(value)]];
}

/**
 * "facts.main_colour" as people write it: "Facts: main colour".
 * @param {string} name
 */
export function wordsOf(name) {
  const words = name.replaceAll(".", ": ").replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {unknown} item */
function written(item) {
  return item !== null && typeof item === "object"
    ? Object.entries(item)
        .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
        .join(", ")
    : String(item);
}
