/** Where an image leads: to itself, to a search of its own, and to the search at hand with it, or without what it shows. */

import { addressOf } from "./address.js";
import { AGAINST, likeQuery, withTerm } from "./query.js";

/** @import { StoredImage } from "./api.js" */
/** @import { Query } from "./query.js" */
/** @typedef {Record<string, {address: string, weight?: number}>} Ways by the class of their links; weight: as a further term of the search */

/**
 * @param {Query | null} query
 * @param {string} id
 * @returns {Ways}
 */
export function waysFrom(query, id) {
  /** @param {number} weight */
  const further = (weight) => ({ address: addressOf({ query: withTerm(query, { like: id, weight }), image: null }), weight });
  return {
    open: { address: addressOf({ query, image: id }) },
    like: { address: addressOf({ query: likeQuery(id), image: null }) },
    also: further(1),
    unlike: further(AGAINST),
  };
}

/**
 * Links of these classes below `root` lead from the image.
 * @param {HTMLElement} root
 * @param {Pick<StoredImage, "id">} image
 * @param {Ways} ways
 */
export function lead(root, { id }, ways) {
  for (const [name, { address, weight }] of Object.entries(ways)) {
    for (const link of root.querySelectorAll(`a.${name}`)) {
      if (link instanceof HTMLAnchorElement) {
        link.href = address;
        link.dataset.id = id;
        link.dataset.weight = weight === undefined ? "" : String(weight);
      }
    }
  }
}
