/** A view, as it stands in an address that can be shared. A link that was cut off shows what can still be read of it. */

import { withFile } from "./query.js";
import { termsTyped } from "./typed.js";

/** @import { Filter, Marks, Part, Query, Term } from "./query.js" */

/**
 * What is shown. image: id of the one shown large; heat: with where the words are found in it; opened: ids of hits beside which their
 * copies are; unlikely: with the hits that are less likely.
 * @typedef {{query: Query | null, image: string | null, heat?: boolean, opened?: string[], unlikely?: boolean, tool?: string | null}} View
 */

const OF_ALL = "images"; // the view of an address that asks for all of them
const APART = "apart";
const SHOWN = "shown";

/**
 * @param {string} search the part of an address from the question mark on
 * @param {unknown} [kept] terms that the history keeps in place of those of the address
 * @returns {View}
 */
export function viewAt(search, kept) {
  const parameters = new URLSearchParams(search);
  const weights = (parameters.get("w") ?? "").split(",").map(Number);
  const given = [...parameters].filter(([name]) => name === "q" || name === "like");
  const terms = Array.isArray(kept) ? kept.map(withFile) : given.flatMap(([name, value], at) => termsOf(name, value, weights[at] || 1));
  const filter = filterIn(parameters.get("filter"));
  const tool = parameters.get("view");
  const isQuery = terms.length > 0 || filter !== null || tool === OF_ALL;
  const marks = terms.length > 0 ? marksIn(parameters) : null;
  const apart = parameters.get("copies") === APART;
  return {
    query: isQuery ? { terms, filter, marks, apart } : null,
    image: parameters.get("image"),
    heat: parameters.get("heat") === SHOWN,
    opened: idsIn(parameters, "opened"),
    unlikely: parameters.get("unlikely") === SHOWN,
    tool: isQuery ? null : tool,
  };
}

/** @param {View} view */
export function addressOf({ query, image, heat, opened = [], unlikely, tool }) {
  const terms = query?.terms.filter(({ upload }) => !upload) ?? [];
  /** @type {[string, string][]} */
  const given = terms.map(({ text, like, part }) => (text ? ["q", text] : ["like", part ? `${like}@${part}` : String(like)]));
  if (terms.some(({ weight }) => weight !== 1)) {
    given.push(["w", terms.map(({ weight }) => weight).join()]);
  }
  if (query?.filter) {
    given.push(["filter", typeof query.filter === "string" ? query.filter : JSON.stringify(query.filter)]);
  }
  given.push(...Object.entries(query?.marks ?? {}).filter(([, ids]) => ids.length > 0).map(/** @returns {[string, string]} */ ([name, ids]) => [name, ids.join()]));
  if (query?.apart && query.terms.length > 0) {
    given.push(["copies", APART]);
  }
  const view = query ? query.terms.length === 0 && !query.filter && OF_ALL : tool;
  if (view) {
    given.push(["view", view]);
  }
  if (query && opened.length > 0) {
    given.push(["opened", opened.join()]);
  }
  if (query && unlikely) {
    given.push(["unlikely", SHOWN]);
  }
  if (image) {
    given.push(["image", image], ...(heat ? [/** @type {[string, string]} */ (["heat", SHOWN])] : []));
  }
  return given.length > 0 ? `?${new URLSearchParams(given)}` : location.pathname;
}

/**
 * Words without a weight of their own are read as they are in the box: people write such addresses, and so do browsers that search here.
 * @param {string} name
 * @param {string} value
 * @param {number} weight
 * @returns {Term[]} none, if it says nothing
 */
function termsOf(name, value, weight) {
  if (name === "q") {
    return weight === 1 ? termsTyped(value) : [{ text: value.trim(), weight }].filter(({ text }) => text);
  }
  const [like, sides] = value.split("@");
  const part = partIn(sides ?? "");
  return like ? [{ like, ...(part && { part }), weight }] : [];
}

/**
 * @param {string} sides
 * @returns {Part | null} null if that is none: a link that was cut off shows the search with the whole image
 */
function partIn(sides) {
  const [left, top, width, height, ...others] = sides.split(",").map(Number);
  const isPart = left >= 0 && top >= 0 && width > 0 && height > 0 && left + width < 1.01 && top + height < 1.01 && others.length === 0;
  return isPart ? [left, top, width, height] : null;
}

/**
 * @param {string | null} text
 * @returns {Filter | string | null} the text itself if it is none, as of a link that was cut off: it is not to look as if there were none
 */
function filterIn(text) {
  try {
    const filter = JSON.parse(text || "null");
    return filter === null || (typeof filter === "object" && !Array.isArray(filter)) ? filter : text;
  } catch {
    return text;
  }
}

/**
 * @param {URLSearchParams} parameters
 * @returns {Marks | null}
 */
function marksIn(parameters) {
  const [more, less] = ["more", "less"].map((name) => idsIn(parameters, name));
  return more.length + less.length > 0 ? { more, less } : null;
}

/**
 * @param {URLSearchParams} parameters
 * @param {string} name
 */
function idsIn(parameters, name) {
  return parameters.get(name)?.split(",").filter(Boolean) ?? [];
}
