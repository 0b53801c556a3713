/**
 * What is searched for: words and images, wanted or not, and conditions.
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
/**
 * Without terms it is for all images that pass. filter: a text where an address has one that is no filter; apart: each copy by itself.
 * @typedef {{terms: Term[], filter: Filter | string | null, marks?: Marks | null, apart?: boolean}} Query
 */

/** @type {Query} */
export const ALL = { terms: [], filter: null };
export const AGAINST = -0.5; // as much as what is wanted would drown it

/** @type {Map<string, File>} */
const files = new Map();

/** @param {...Term} terms */
export function queryOf(...terms) {
  return { terms, filter: null };
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
 * The query for other terms. Marks were for those before.
 * @param {Query | null} query
 * @param {Term[]} terms
 * @returns {Query}
 */
export function withTerms(query, terms) {
  const areSame = JSON.stringify(named(terms)) === JSON.stringify(query && named(query.terms));
  return { ...(query ?? ALL), terms, ...(!areSame && { marks: null }) };
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
  return JSON.stringify([query && named(query.terms), query?.filter, query?.marks ?? null, query?.apart ?? false]);
}

/** @param {Term[]} terms */
function named(terms) {
  return terms.map((term) => [identityOf(term), term.weight]);
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
 * A term that the history kept, with its file, if that is still at hand.
 * @param {Term} term
 * @returns {Term}
 */
export function withFile(term) {
  return term.upload ? { ...term, file: files.get(term.upload) } : term;
}
