/**
 * Which hits are likely matches. They stand before the others, which are folded away, on whatever page they came. Where an answer is
 * confident and none of its first page is likely, none is folded away, and all keep their order: what is on the screen would vanish
 * otherwise. This follows from the hits' `relevance` and from `confident` of the answer, here and nowhere else.
 */

/** @import { Answer, StoredImage } from "./api.js" */
/** @import { Query } from "./query.js" */

/**
 * An answer, with all pages that have come. least: probability of a match, below which its hits are folded away; null where none are;
 * isSpent: its last page had fewer likely matches than others, so that hardly any are to come.
 * @typedef {Answer & {least: number | null, isSpent: boolean}} Found
 */

const LIKELY = 0.5;
const ALIKE = 0.1; // of images found by images: most that look alike show something else

/**
 * @param {Query} query
 * @param {Answer} answer its first hits, or more
 * @param {number} pageSize how many of them decide: a reload, which asks for more, is to show the same
 * @returns {Found}
 */
export function judged({ terms }, answer, pageSize) {
  const least = terms.some(({ text }) => text) ? LIKELY : ALIKE;
  const first = answer.hits.slice(0, pageSize);
  const isUnknown = first.some(({ relevance }) => typeof relevance !== "number");
  const isAnyOfThem = answer.confident === true && first.every((hit) => isUnlikely(hit, least)); // a match is there: one of these, or one further down
  return sorted({ ...answer, least: isUnknown || isAnyOfThem ? null : least, isSpent: false }, answer.hits.slice(-pageSize));
}

/**
 * @param {Found} found
 * @param {Answer} page the next one
 */
export function longerBy(found, page) {
  return sorted({ ...found, hits: [...found.hits, ...page.hits], next: page.next }, page.hits);
}

/**
 * In the ranking a hit may stand behind less likely ones, as words in its name count there too.
 * @param {Found} found
 * @param {StoredImage[]} last those that came last
 * @returns {Found}
 */
function sorted(found, last) {
  const { hits, least } = found;
  /** @type {(some: StoredImage[]) => StoredImage[]} */
  const unlikely = (some) => some.filter((hit) => isUnlikely(hit, least));
  return { ...found, hits: [...hits.filter((hit) => !isUnlikely(hit, least)), ...unlikely(hits)], isSpent: 2 * unlikely(last).length > last.length };
}

/**
 * @param {StoredImage} hit
 * @param {number | null} least
 */
export function isUnlikely({ relevance }, least) {
  return typeof relevance === "number" && least !== null && relevance < least;
}
