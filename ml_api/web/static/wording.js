/** Names and values of metadata, as people write them. */

/**
 * "facts.main_colour" is "Facts: main colour".
 * @param {string} name
 */
export function wordsOf(name) {
  const words = name.replaceAll(".", ": ").replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {unknown} value */
export function valueIn(value) {
  if (typeof value === "boolean") {
    return value ? "yes" : "no";
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
