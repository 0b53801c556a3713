/** Which control each field of the metadata gets: by its types, its range and its frequent values. */

import { isShared } from "../wording.js";
import { labelOf } from "./conditions.js";

/** @typedef {string | number | boolean} Value */
/** @typedef {{value: Value, images: number}} Counted */
/**
 * As GET /v1/metadata tells it.
 * @typedef {object} KnownField
 * @property {string} name as filters name it
 * @property {number} images
 * @property {Record<string, number>} types images by type
 * @property {number | null} least
 * @property {number | null} most
 * @property {Counted[]} values the most frequent
 * @property {number | null} distinct null: too many to count
 */
/** @typedef {{over: number, whole: boolean, fields: KnownField[]}} Known */

/**
 * values: some of a list are chosen; several: the field holds lists; placeholders: what stands in empty boxes of a range.
 * @typedef {{
 *   name: string, label: string, kind: "values" | "numbers" | "dates" | "beginning",
 *   values?: Counted[], several?: boolean, isCutOff?: boolean, placeholders?: [string, string],
 * }} Control
 */

const FREQUENT = 0.2; // so many of the images share the frequent values, or they are descriptions: each image has its own

/** What every image has; no answer tells their ranges. */
export const OWN = /** @type {Control[]} */ ([
  { name: "key", label: labelOf("key"), kind: "beginning" },
  { name: "width", label: labelOf("width"), kind: "numbers" },
  { name: "height", label: labelOf("height"), kind: "numbers" },
  { name: "indexed_at", label: labelOf("indexed_at"), kind: "dates" },
]);

/**
 * @param {KnownField[]} fields
 * @returns {Control[]}
 */
export function controlsFor(fields) {
  const labels = fields.map(({ name }) => labelOf(name));
  const controls = fields.flatMap((field) => controlFor(field, labelOf(field.name, isShared(labelOf(field.name), labels))) ?? []);
  return [...controls.filter(({ kind }) => kind !== "beginning"), ...controls.filter(({ kind }) => kind === "beginning")];
}

/**
 * @param {KnownField} field
 * @param {string} label
 * @returns {Control | null} null if there is nothing to choose from
 */
function controlFor({ name, images, types, least, most, values, distinct }, label) {
  const [[kind] = ["object"]] = Object.entries(types).sort(([, some], [, others]) => others - some);
  const isCutOff = distinct === null || distinct > values.length;
  if (kind === "number") {
    return { name, label, kind: "numbers", placeholders: [written(least), written(most)] };
  }
  if (kind === "text" && values.length > 0 && values.every(({ value }) => isDate(value))) {
    return { name, label, kind: "dates" };
  }
  const sharing = values.reduce((sum, one) => sum + one.images, 0);
  const isDescription = kind === "text" && isCutOff && sharing < FREQUENT * images;
  if (kind === "text" && (isDescription || values.length === 0)) {
    return { name, label, kind: "beginning" };
  }
  return values.length > 0 ? { name, label, kind: "values", values, isCutOff, several: kind === "list" } : null;
}

/** @param {Value} value */
function isDate(value) {
  return typeof value === "string" && /^\d{4}-\d{2}-\d{2}(?:$|[T ])/.test(value);
}

/** @param {number | null} number */
function written(number) {
  return number === null ? "" : String(number);
}
