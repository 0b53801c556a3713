/** A line on what was found. */

/** @import { Answer, StoredImage } from "./api.js" */
/** @import { Query } from "./query.js" */
/** @typedef {{count: string, relation: string, text: string, time: string, note: string, likely: number}} Summary likely: see LIKELY */

const LIKELY = 0.5; // probability of a match, below which hits are folded away
const ALIKE = 0.1; // of images found by images: most that look alike show something else
const SO_FAR = " so far"; // short, as on a phone it stands beside buttons

/**
 * @param {Query} query
 * @param {Answer} answer
 * @returns {Summary}
 */
export function summaryOf(query, { hits, next, count: all, truncated = false, read_as: readAs, timings_ms: timings }) {
  if (query.terms.length === 0) {
    const isWhole = next === null || all !== undefined;
    const listed = next === null ? hits.length : (all ?? hits.length);
    const relation = query.filter ? ` that ${listed === 1 ? "passes" : "pass"} the filters` : " in no particular order";
    return { count: `${isWhole ? "" : "The first "}${imagesInWords(listed)}`, relation, text: "", note: "", time: "", likely: 0 };
  }
  const [{ text, weight }] = query.terms;
  const isPlain = query.terms.length === 1;
  const likely = likelyFor(query);
  const kinship = `${weight < 0 ? "least" : "most"} like${text ? "" : " this one"}`;
  const isKinship = isPlain && (weight < 0 || !text);
  return {
    ...(isKinship ? ranked(hits, next === null, kinship) : matches(hits, next === null, likely)),
    text: isPlain ? (text ?? "") : wordsOf(query),
    note: noteOn(query, truncated, readAs),
    likely,
    time: timings ? `${Math.max(1, Math.round(timings.total))} ms` : "",
  };
}

/**
 * Probability of a match, below which hits of this search are folded away.
 * @param {Query} query
 */
function likelyFor({ terms }) {
  return terms.some(({ text }) => text) ? LIKELY : ALIKE;
}

/**
 * @param {StoredImage} hit
 * @param {number} likely
 */
export function isUnlikely({ relevance }, likely) {
  return typeof relevance === "number" && relevance < likely;
}

/**
 * Those of a page that are likely before the others, which are folded away. In the ranking a hit may stand behind less likely ones, as
 * words in its name count there too.
 * @param {Query} query
 * @param {Answer} page
 * @returns {Answer}
 */
export function likelyFirst(query, page) {
  const unlikely = page.hits.filter((hit) => isUnlikely(hit, likelyFor(query)));
  return { ...page, hits: [...page.hits.filter((hit) => !unlikely.includes(hit)), ...unlikely] };
}

/**
 * How many there are: of those that are likely, where that is known. Others are folded away behind them, and end their number.
 * @param {StoredImage[]} hits
 * @param {boolean} isWhole whether there are no more
 * @param {number} likely
 */
function matches(hits, isWhole, likely) {
  const folded = hits.findIndex((hit) => isUnlikely(hit, likely));
  if (folded < 0 && hits.some(({ relevance }) => typeof relevance !== "number")) {
    return ranked(hits, isWhole, "closest to");
  }
  const found = folded < 0 ? hits.length : folded;
  const count = found === 0 ? "No likely match" : found === 1 ? "1 likely match" : `${found} likely matches`;
  return { count: `${count}${folded < 0 && !isWhole ? SO_FAR : ""}`, relation: " for" };
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
 * @param {Answer | undefined} answer
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
