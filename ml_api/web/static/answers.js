/** What was found before, with all its pages, so that going back shows it at once. */

import { nameOf } from "./query.js";

/** @import { StoredImage } from "./api.js" */
/** @import { Found } from "./likely.js" */
/** @import { Query } from "./query.js" */

const KEPT = 20;

export class Answers {
  /** @type {Map<string, Found>} by the query's name */
  #answers = new Map();

  /** @param {Query | null} query */
  to(query) {
    return this.#answers.get(nameOf(query));
  }

  /**
   * @param {Query} query
   * @param {Found} answer
   */
  keep(query, answer) {
    const name = nameOf(query);
    this.#answers.delete(name); // to the end of the line
    this.#answers.set(name, answer);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > KEPT) {
      this.#answers.delete(oldest);
    }
  }

  /**
   * An image that is no longer stored.
   * @param {string} id
   */
  forget(id) {
    for (const [name, answer] of this.#answers) {
      const hits = answer.hits.flatMap((hit) => (hit.id === id ? heirOf(hit) : [withoutCopy(hit, id)]));
      const gone = answer.hits.length - hits.length;
      const next = typeof answer.next === "number" ? answer.next - gone : answer.next; // those behind them have moved up
      const count = answer.count && answer.count - gone;
      this.#answers.set(name, { ...answer, hits, next, count });
    }
  }

  /**
   * All answers but this one may be out of date.
   * @param {Query | null} query
   */
  forgetOthers(query) {
    for (const name of [...this.#answers.keys()].filter((one) => one !== nameOf(query))) {
      this.#answers.delete(name);
    }
  }
}

/**
 * The copy that stands for the others when the first of them is gone; as likely a match as that was.
 * @param {Pick<StoredImage, "group" | "relevance">} hit
 * @returns {StoredImage[]}
 */
export function heirOf({ group, relevance }) {
  const [heir, ...others] = group?.hits ?? [];
  return heir ? [{ ...heir, relevance, group: others.length > 0 && group ? { size: group.size - 1, hits: others } : null }] : [];
}

/**
 * @param {StoredImage} hit
 * @param {string} id
 * @returns {StoredImage}
 */
function withoutCopy(hit, id) {
  const others = hit.group?.hits.filter((other) => other.id !== id) ?? [];
  return hit.group && others.length < hit.group.hits.length
    ? { ...hit, group: others.length > 0 ? { size: hit.group.size - 1, hits: others } : null }
    : hit;
}
