/**
 * What is searched for, and how it stands in the address and the history.
 *
 * A text and a stored image have addresses that can be shared. A file from this device has none: its history entry names it, and
 * it lives as long as the page does.
 */

/**
 * Either `text`, or `like` (the id of a stored image), or `upload`, whose `file` is gone after a reload.
 * @typedef {{text?: string, like?: string, upload?: string, file?: Blob}} Query
 */

/** @typedef {{query: Query | null, image: string | null}} View `image` is the id of the one shown large */

/** @type {Map<string, File>} */
const files = new Map();

/**
 * @param {string} search the part of an address from the question mark on
 * @param {string} [upload] as the history names it
 * @returns {View}
 */
export function viewAt(search, upload) {
  const parameters = new URLSearchParams(search);
  const text = parameters.get("q")?.trim();
  const like = parameters.get("like");
  const image = parameters.get("image");
  if (text) {
    return { query: { text }, image };
  }
  if (like) {
    return { query: { like }, image };
  }
  return { query: upload ? { upload, file: files.get(upload) } : null, image };
}

/** @param {View} view */
export function addressOf({ query, image }) {
  const given = Object.entries({ q: query?.text, like: query?.like, image }).filter(([, value]) => value);
  return given.length > 0 ? `?${new URLSearchParams(given)}` : location.pathname;
}

/** @param {Query | null} query */
export function nameOf(query) {
  return JSON.stringify([query?.text, query?.like, query?.upload]);
}

/**
 * @param {File} file
 * @returns {Query}
 */
export function uploadOf(file) {
  const upload = `${Date.now()}-${files.size}`; // unlike any that an earlier load of this page left in the history
  files.set(upload, file);
  return { upload, file };
}
