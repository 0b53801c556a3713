/**
 * What is searched for, and how it stands in the address and the history.
 *
 * Words and stored images have addresses that can be shared. A file from this device has none: its history entry names it, and it lives
 * as long as the page does.
 */

/** @typedef {[left: number, top: number, width: number, height: number]} Part of an image, in fractions of its sides */
/**
 * One of `text`, `like` (the id of a stored image) and `upload`, whose `file` is gone after a reload. A negative weight is for what is
 * not wanted.
 * @typedef {{text?: string, like?: string, upload?: string, file?: File, part?: Part, weight: number}} Term
 */
/** @typedef {Record<string, unknown>} Filter as the API takes it */
/** @typedef {{more: string[], less: string[]}} Marks ids of images that were marked good, and of those marked bad */
/** @typedef {{terms: Term[], filter: Filter | null, marks?: Marks | null, apart?: boolean}} Query without terms it is for all images that pass; apart: each copy by itself */
/**
 * What is shown. image: id of the one shown large; heat: with where the words are found in it; opened: ids of hits beside which their
 * copies are; unlikely: with the hits that are less likely.
 * @typedef {{query: Query | null, image: string | null, heat?: boolean, opened?: string[], unlikely?: boolean, tool?: string | null}} View
 */

/** @type {Query} */
export const ALL = { terms: [], filter: null };
const OF_ALL = "images"; // the view of an address that asks for all of them
const APART = "apart";
const SHOWN = "shown";

export const AGAINST = -0.5; // as much as what is wanted would drown it

/** @type {Map<string, File>} */
const files = new Map();

/** @param {...Term} terms */
export function queryOf(...terms) {
  return { terms, filter: null };
}

/** @param {string} text */
export function textQuery(text) {
  return queryOf({ text, weight: 1 });
}

/** @param {string} like */
export function likeQuery(like) {
  return queryOf({ like, weight: 1 });
}

/**
 * The query with a further term; one that names the same takes its place.
 * @param {Query | null} query
 * @param {Term} term
 * @returns {Query}
 */
export function withTerm(query, term) {
  const others = query?.terms.filter((one) => identityOf(one) !== identityOf(term)) ?? [];
  return { ...(query ?? ALL), terms: [...others, term], marks: null };
}

/**
 * @param {string} search the part of an address from the question mark on
 * @param {unknown} [kept] terms that the history keeps in place of those of the address
 * @returns {View}
 */
export function viewAt(search, kept) {
  const parameters = new URLSearchParams(search);
  const weights = (parameters.get("w") ?? "").split(",").map(Number);
  const given = [...parameters].filter(([name]) => name === "q" || name === "like").flatMap(([name, value]) => termOf(name, value));
  const terms = Array.isArray(kept) ? kept.map(withFile) : given.map((term, at) => ({ ...term, weight: weights[at] || 1 }));
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
    given.push(["filter", JSON.stringify(query.filter)]);
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
 * What the history has to keep of a query, as its address cannot say it.
 * @param {Query | null} query
 */
export function keptOf(query) {
  return query?.terms.some(({ upload }) => upload) ? query.terms.map(({ file: _, ...term }) => term) : undefined;
}

/** @param {Query | null} query */
export function nameOf(query) {
  return JSON.stringify([termsIn(query), query?.filter, query?.marks ?? null, query?.apart ?? false]);
}

/**
 * Whether two queries ask for the same, whatever they leave out and were refined by.
 * @param {Query | null} one
 * @param {Query | null} other
 */
export function haveSameTerms(one, other) {
  return JSON.stringify(termsIn(one)) === JSON.stringify(termsIn(other));
}

/** @param {Query | null} query */
function termsIn(query) {
  return query?.terms.map((term) => [identityOf(term), term.weight]);
}

/** @param {Term} term */
export function identityOf({ text, like, upload, part }) {
  return JSON.stringify([text, like, upload, part]);
}

/**
 * @param {File} file
 * @returns {Term}
 */
export function termOfFile(file) {
  const upload = `${Date.now()}-${files.size}`; // unlike any that an earlier load of this page left in the history
  files.set(upload, file);
  return { upload, file, weight: 1 };
}

/**
 * @param {string} name
 * @param {string} value
 * @returns {Omit<Term, "weight">[]} none, if it says nothing
 */
function termOf(name, value) {
  if (name === "q") {
    return value.trim() ? [{ text: value.trim() }] : [];
  }
  const [like, sides] = value.split("@");
  const part = partIn(sides ?? "");
  return like ? [part ? { like, part } : { like }] : [];
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

/** @param {Term} term */
function withFile(term) {
  return term.upload ? { ...term, file: files.get(term.upload) } : term;
}

/**
 * @param {string | null} text
 * @returns {Filter | null}
 */
function filterIn(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null; // a link that was cut off: the search is shown without it
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
