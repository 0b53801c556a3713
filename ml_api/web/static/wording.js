/** Names and values of metadata, and sizes of files, as people write them. */

/**
 * The last key says what it is: `facts.main_colour` is "Main colour", and "Main colour (facts)" where another one has that name too.
 * @param {string[]} path of keys that lead to a value
 * @param {boolean} [isShared]
 */
export function wordsOf(path, isShared = false) {
  const [last, ...outer] = path.map((key) => key.replaceAll("_", " ")).reverse();
  const name = last.charAt(0).toUpperCase() + last.slice(1);
  return isShared && outer.length > 0 ? `${name} (${outer.reverse().join(", ")})` : name;
}

/**
 * Whether another one in the list is the same.
 * @param {string} name
 * @param {string[]} names
 */
export function isShared(name, names) {
  return names.indexOf(name) !== names.lastIndexOf(name);
}

/**
 * The size of a file: "640 bytes", "82 KB", "3.4 MB".
 * @param {number} bytes
 */
export function sizeInWords(bytes) {
  if (bytes < 1000) {
    return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  }
  return bytes < 999_500 ? `${Math.round(bytes / 1000)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {unknown} value */
export function valueIn(value) {
  if (typeof value === "boolean") {
    return value ? "yes" : "no";
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
