/** Words as they are typed, or stand in an address: `red car -logo` and `red car −text:"company logo"` leave something out. */

import { AGAINST } from "./query.js";

/** @import { Term } from "./query.js" */

// A hyphen within a word is no minus, nor is a dash between words, or the sign of a number.
const LESS = /(?<=^|\s)[-−–](?![.,]?\d)(?:text:)?(?:"([^"]+)"|([^\s"]+))(?=\s|$)/gu;

/**
 * @param {string} typed
 * @returns {Term[]} what is wanted first; none, if nothing was typed
 */
export function termsTyped(typed) {
  const wanted = typed.replace(LESS, " ").replace(/\s+/g, " ").trim();
  const unwanted = [...typed.matchAll(LESS)].map(([, quoted, word]) => ({ text: (quoted ?? word ?? "").trim(), weight: AGAINST }));
  return [{ text: wanted, weight: 1 }, ...unwanted].filter(({ text }) => text);
}
