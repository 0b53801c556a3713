/** What is known of an image, as rows of names and values. */

import { matchedBy, rounded } from "./summary.js";
import { isShared, valueIn, wordsOf } from "./wording.js";

/** @import { StoredImage } from "./api.js" */

/** @typedef {{name: string, value: string, path?: string[], condition?: unknown}} Fact condition: what others with the same have */

/**
 * @param {StoredImage} image
 * @returns {Fact[]}
 */
export function factsOf(image) {
  const { width, height, score, relevance, metadata } = image;
  const { caption, ...others } = metadata;
  const facts = typeof caption === "string" ? others : metadata; // as a text it is the heading
  const known = Object.entries(facts).flatMap(([name, value]) => rowsOf([name], value));
  const names = known.map(({ path }) => wordsOf(path));
  return [
    { name: "Size", value: `${width} × ${height}` },
    ...(typeof relevance === "number" ? [{ name: "Likely a match", value: `${Math.round(relevance * 100)} %` }] : []),
    ...(matchedBy(image) ? [{ name: "Also found by", value: matchedBy(image) }] : []),
    ...(score === undefined ? [] : [{ name: "Similarity", value: rounded(score, 3) }]),
    ...known.map(({ path, value, condition }, at) => ({
      name: wordsOf(path, isShared(names[at], names)),
      value,
      ...(condition !== undefined && { path, condition }),
    })),
  ];
}

/**
 * Metadata is any JSON: each value within objects becomes a row, lists are written in one.
 * @param {string[]} path
 * @param {unknown} value
 * @returns {{path: string[], value: string, condition?: unknown}[]}
 */
function rowsOf(path, value) {
  if (value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) {
    return [];
  }
  if (Array.isArray(value)) {
    const isPlain = value.every((item) => typeof item !== "object");
    return [{ path, value: value.map(written).join(isPlain ? ", " : "; "), ...(isPlain && { condition: { all: value } }) }];
  }
  if (typeof value === "object") {
    return Object.entries(value).flatMap(([inner, within]) => rowsOf([...path, inner], within));
  }
  return [{ path, value: valueIn(value), condition: { eq: value } }];
}

/** @param {unknown} item */
function written(item) {
  return item !== null && typeof item === "object"
    ? Object.entries(item)
        .map(([name, value]) => `${name}: ${valueIn(value)}`)
        .join(", ")
    : valueIn(item);
}
