/**
 * Conditions on what is known of images, as the API takes them: `{"facts.setting": {"eq": "snow"}}`. All have to hold. A text that an
 * address has in place of them is one condition, which no image can fulfil.
 */

import { valueIn, wordsOf } from "../wording.js";

/** @import { Filter } from "../query.js" */

const RESERVED = ["key", "width", "height", "indexed_at", "and", "or", "not"]; // fields and words of the API's own
const OPERATORS = new Map([
  ["eq", "is"],
  ["ne", "is not"],
  ["lt", "below"],
  ["lte", "at most"],
  ["gt", "above"],
  ["gte", "at least"],
  ["in", "is one of"],
  ["any", "has"],
  ["all", "has all of"],
  ["exists", "is known:"],
  ["prefix", "begins with"],
]);
const OF_TIMES = new Map([
  ["lt", "before"],
  ["lte", "until"],
  ["gt", "after"],
  ["gte", "from"],
]);
const OWN_LABELS = new Map([
  ["key", "File name"],
  ["indexed_at", "Added"],
]);

/**
 * The filter with a further condition on a field; one on the same field gives way.
 * @param {Filter | string | null | undefined} filter
 * @param {string} field
 * @param {unknown} condition
 * @returns {Filter}
 */
export function withCondition(filter, field, condition) {
  return { ...(typeof filter === "string" ? null : filter), [field]: condition };
}

/**
 * @param {Filter | string | null} filter
 * @param {string} field
 * @returns {Filter | null} null if nothing is left
 */
export function withoutCondition(filter, field) {
  const left = Object.entries(typeof filter === "string" ? {} : (filter ?? {})).filter(([name]) => name !== field);
  return left.length > 0 ? Object.fromEntries(left) : null;
}

/**
 * The filter with that condition on the field, or with none.
 * @param {Filter | null | undefined} filter
 * @param {string} field
 * @param {unknown} condition null: none
 */
export function withConditionOn(filter, field, condition) {
  return condition === null ? withoutCondition(filter ?? null, field) : withCondition(filter, field, condition);
}

/**
 * Each condition in words.
 * @param {Filter | string | null} filter
 * @returns {{field: string, words: string}[]}
 */
export function conditionsOf(filter) {
  if (typeof filter === "string") {
    return [{ field: "", words: "A filter that cannot be read" }];
  }
  return Object.entries(filter ?? {}).map(([field, condition]) => ({ field, words: `${labelOf(field)} ${saidOf(condition)}` }));
}

/**
 * The name of a field whose keys lead through objects: by dots, or where that would mean something else, as a JSON Pointer.
 * @param {string[]} path
 */
export function fieldAt(path) {
  const isPlain = path.every((key) => key && !/[./~]/.test(key)) && !RESERVED.includes(path.join("."));
  return isPlain ? path.join(".") : path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/**
 * @param {string} field
 * @param {boolean} [isShared] whether another field has the same last key
 */
export function labelOf(field, isShared = false) {
  const own = OWN_LABELS.get(field);
  if (own) {
    return own;
  }
  const path = field.startsWith("/") ? field.slice(1).split("/") : field.split(".");
  const keys = path.map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  return wordsOf(keys, isShared || RESERVED.includes(String(keys.at(-1)))); // a width of one's own is not the image's
}

/** @param {unknown} condition */
function saidOf(condition) {
  if (condition === null || typeof condition !== "object" || Array.isArray(condition)) {
    return JSON.stringify(condition); // of a link that somebody wrote: the API says what is wrong with it
  }
  const said = Object.entries(condition).map(([operator, value]) => {
    const values = Array.isArray(value) ? value.map(valueIn).join(", ") : valueIn(value);
    const words = isTime(value) ? (OF_TIMES.get(operator) ?? OPERATORS.get(operator)) : OPERATORS.get(operator);
    return `${words ?? operator} ${values}`;
  });
  return said.join(" and ");
}

/** @param {unknown} value */
function isTime(value) {
  return typeof value === "string" && /^\d{4}-\d{2}-\d{2}/.test(value);
}
