/** Words as they are typed: `red car -logo` and `red car −text:"company logo"` leave something out. */

import { AGAINST } from "./query.js";

/** @import { Term } from "./query.js" */

const LESS = /(?<=^|\s)[-−–](?:text:)?(?:"([^"]+)"|([^\s"]+))(?=\s|$)/gu; // a hyphen within a word, or a dash between words, is none

/**
 * @param {string} typed
 * @returns {Term[]} what is wanted first; none, if nothing was typed
 */
export function termsTyped(typed) {
  const wanted = typed.replace(LESS, " ").replace(/\s+/g, " ").trim();
  if (!wanted) {
    return typed.trim() ? [{ text: typed.trim(), weight: 1 }] : []; // leaving out from nothing means nothing
  }
  const unwanted = [...typed.matchAll(LESS)].map(([, quoted, word]) => ({ text: (quoted ?? word ?? "").trim(), weight: AGAINST }));
  return [{ text: wanted, weight: 1 }, ...unwanted.filter(({ text }) => text)];
}
